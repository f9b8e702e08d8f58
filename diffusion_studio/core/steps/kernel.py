"""The one family of reverse kernels that keep the marginals (Stratos lemma 3.1)."""

from __future__ import annotations

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr

_ROUNDING = 1e-12


def reverse_kernel(tables: Tables, t: int, s: int, variance: float, noise_variance: float) -> Update:
    """The kernel from t down to s < t: x_s = √ᾱ_s x̂_0 + √(1−ᾱ_s−σ²) ε̂ + σ z, z ~ N(0, I).

    Args:
        variance: σ² that shapes the mean, 0 ≤ σ² ≤ 1 − ᾱ_s.
        noise_variance: variance of the added noise; at s = 0 none is added.

    Raises:
        Refused: times out of order or out of range, or a σ² for which no such kernel exists.
    """
    check_times(tables, t, s)
    alpha_bar = tables.alpha_bar_at(s)
    room = 1 - alpha_bar
    if not -_ROUNDING <= variance <= room + _ROUNDING:
        raise Refused(
            tr(
                "No reverse kernel keeps the marginals with σ² = {variance:.6g} at s = {s}: σ² must lie "
                "between 0 and 1 − ᾱₛ = {room:.6g} (Lemma 3.1).",
                variance=variance,
                s=s,
                room=room,
            )
        )
    if noise_variance < 0:
        raise Refused(
            tr(
                "The variance of the added noise cannot be negative (got {variance:.6g}).",
                variance=noise_variance,
            )
        )
    same = variance == noise_variance  # elsewhere the mean has β̃
    taken = r"\sigma_t^2" if same else r"\tilde\beta_t"
    kept = Term("eps_hat", max(room - variance, 0.0) ** 0.5, rf"\sqrt{{1-\bar\alpha_s-{taken}}}")
    return Update((
        Term("x0_hat", alpha_bar**0.5, r"\sqrt{\bar\alpha_s}"),
        *((kept,) if s > 0 else ()),
        *noise_term(noise_variance**0.5, s),
    ))  # fmt: skip


def noise_term(sigma: float, s: int, formula: str = r"\sigma_t") -> tuple[Term, ...]:
    """σ z, or nothing when σ = 0 and at the image, s = 0."""
    return (Term("noise", sigma, formula),) if sigma > 0 and s > 0 else ()


def posterior_variance(tables: Tables, t: int, s: int) -> float:
    """β̃ of the step from t to s: (1−ᾱ_s)/(1−ᾱ_t) · β_{t|s}."""
    check_times(tables, t, s)
    return (1 - tables.alpha_bar_at(s)) / (1 - tables.alpha_bar_at(t)) * tables.beta_between(t, s)


def check_times(tables: Tables, t: int, s: int) -> None:
    """Raises Refused unless 0 ≤ s < t ≤ T."""
    if not 0 <= s < t <= tables.steps:
        raise Refused(
            tr(
                "A reverse step goes from t down to s with 0 ≤ s < t ≤ {steps}; got t = {t}, s = {s}.",
                steps=tables.steps,
                t=t,
                s=s,
            )
        )

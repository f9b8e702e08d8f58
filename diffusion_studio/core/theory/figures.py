"""The figures of the texts as nodes and arrows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from diffusion_studio.core.words import tr

Law = Literal["q", "p"]  # the encoder's, or the decoder's


@dataclass(frozen=True)
class Arrow:
    """From one node to another, by number."""

    begin: int
    end: int
    law: Law
    words: str
    compared: bool = False  # one of the two that a term of the bound compares


@dataclass(frozen=True)
class Figure:
    """One figure; with `places` (t/T of each node) its nodes are pictures."""

    title: str
    source: str
    words: str
    nodes: tuple[str, ...]
    arrows: tuple[Arrow, ...]
    places: tuple[float, ...] = ()
    page: str = ""  # where it lives, if it is drawn there


def _both(count: int, up: str = "q", down: str = "p") -> tuple[Arrow, ...]:
    ways = [(Arrow(k, k + 1, "q", up), Arrow(k + 1, k, "p", down)) for k in range(count - 1)]
    return tuple(arrow for way in ways for arrow in way)


_NOISED = ("x₀", "x₁", "…", "xₜ₋₁", "xₜ", "…", "x_T")
_PLACES = (0.0, 0.08, 0.2, 0.35, 0.5, 0.7, 1.0)
_THREE = ("xₜ₋₁", "xₜ", "xₜ₊₁")

FIGURES = (
    Figure(
        tr("A variational autoencoder"), "Luo figure 1",
        tr("The encoder q(z|x) says which codes may have led to x, the decoder p(x|z) how a code looks."),
        ("x", "z"), (Arrow(0, 1, "q", "q(z|x)"), Arrow(1, 0, "p", "p(x|z)")), page="autoencoder",
    ),
    Figure(
        tr("A hierarchy of latents"), "Luo figure 2; Course figure 1",
        tr("Each level knows its neighbours alone: up by an encoder of its own, down by a decoder."),
        ("x", "z₁", "z₂", "…", "z_T"), _both(5), page="autoencoder",
    ),
    Figure(
        tr("A diffusion model"), "Luo figure 3; Course figure 3",
        tr(
            "The same chain with three restrictions: all levels are as large as the image, the encoder only "
            "adds noise, and the last level is pure noise. The pictures are one digit under the chosen "
            "schedule."
        ),
        _NOISED, _both(7, "q", "p"), _PLACES,
    ),
    Figure(
        tr("What the consistency terms compare"), "Luo figure 4",
        tr(
            "q(x_t|x_{t−1}) from the cleaner side with p(x_t|x_{t+1}) from the noisier one: two random "
            "states for each term, so its estimate scatters."
        ),
        _THREE,
        (Arrow(0, 1, "q", "q(xₜ|xₜ₋₁)", True), Arrow(2, 1, "p", "p(xₜ|xₜ₊₁)", True)),
        (0.35, 0.5, 0.65), page="theory",
    ),
    Figure(
        tr("What the matching terms compare"), "Luo figure 5; Course figure 2",
        tr(
            "The posterior q(x_{t−1}|x_t, x_0), which knows the image, with p(x_{t−1}|x_t), which does not: "
            "one random state for each term."
        ),
        ("x₀", "xₜ₋₁", "xₜ"),
        (Arrow(0, 1, "q", "q(xₜ₋₁|xₜ, x₀)", True), Arrow(2, 1, "p", "p(xₜ₋₁|xₜ)", True)),
        (0.0, 0.35, 0.5), page="theory",
    ),
    Figure(
        tr("Langevin dynamics on a mixture"), "Luo figure 6",
        tr(
            "Chains that begin at one point climb the score to different modes, because each step adds "
            "noise. It lives on the 2-D page: start “one point”, moves by Langevin."
        ),
        (), (), page="plane",
    ),
)  # fmt: skip

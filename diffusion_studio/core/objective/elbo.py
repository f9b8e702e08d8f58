"""The bound on −log p(x_0), term by term, in nats per image.

−log p(x_0) ≤ L_0 + Σ_{t=2..T} L_{t−1} + L_T (Luo eq. 58): reconstruction, denoising matching, prior matching.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.denoiser import Denoiser
from diffusion_studio.core.process.tables import Tables, diffuse

BINS = 256
_FAR = 10.0  # standard deviations: further below, the gradient of torch's ln Φ is no number
ReverseModel = Callable[[Tensor, int], tuple[Tensor, Tensor | float]]
"""(x_t, t) → (x̂_0, σ_t²): the reverse step p(x_{t−1}|x_t), its mean given by x̂_0."""


def fixed_variance(denoiser: Denoiser, variance: Tensor, labels: Tensor | None = None) -> ReverseModel:
    """A denoiser with the same σ_t² for every pixel. `variance` is (T+1,)."""

    def model(x_t: Tensor, t: int) -> tuple[Tensor, Tensor | float]:
        return denoiser(x_t, t, labels).x0_hat, float(variance[t])

    return model


def bits_per_dim(nats: Tensor, dims: int) -> Tensor:
    """Nats per image as bits per dimension."""
    return nats / (dims * math.log(2))


def gaussian_kl(difference: Tensor, first: Tensor | float, second: Tensor | float) -> Tensor:
    """KL(N(m, a) ‖ N(m', b)) of each element, difference = m − m', a `first`, b `second` variance. (B, …)"""
    ratio = first / second
    log_ratio = ratio.log() if isinstance(ratio, Tensor) else math.log(ratio)
    return 0.5 * (difference**2 / second + ratio - 1 - log_ratio)


def posterior_gain(tables: Tables, t: int) -> float:
    """How far the mean of q(x_{t−1}|x_t, x_0) moves with x_0: √ᾱ_{t−1} β_t / (1−ᾱ_t)."""
    return math.sqrt(tables.alpha_bar_at(t - 1)) * float(tables.beta[t]) / (1 - tables.alpha_bar_at(t))


def matching_term(tables: Tables, t: int, x_0: Tensor, x0_hat: Tensor, variance: Tensor | float) -> Tensor:
    """L_{t−1} = KL(q(x_{t−1}|x_t, x_0) ‖ p(x_{t−1}|x_t)), t ≥ 2. nats (B,)

    Args:
        variance: σ_t², a number or one for each pixel.
    """
    difference = posterior_gain(tables, t) * (x_0 - x0_hat)
    return gaussian_kl(difference, float(tables.beta_tilde[t]), variance).flatten(1).sum(1)


def prior_term(tables: Tables, x_0: Tensor) -> Tensor:
    """L_T = KL(N(√ᾱ_T x_0, (1−ᾱ_T)I) ‖ N(0, I)). nats (B,)"""
    alpha_bar = tables.alpha_bar_at(tables.steps)
    return gaussian_kl(alpha_bar**0.5 * x_0, 1 - alpha_bar, 1.0).flatten(1).sum(1)


def gaussian_nll(difference: Tensor, variance: Tensor | float) -> Tensor:
    """−ln N(difference; 0, variance) of each element. (B, …)"""
    log_variance = variance.log() if isinstance(variance, Tensor) else math.log(variance)
    return 0.5 * (difference**2 / variance + log_variance + math.log(2 * math.pi))


def log_ndtr(x: Tensor) -> Tensor:
    """ln Φ(x) of the standard normal distribution. (…)

    Apple's GPUs lack torch's own, whose gradient is no number far below 0.
    """
    below = x.clamp(max=-1) * -math.sqrt(0.5)
    far = torch.log(torch.special.erfcx(below) / 2) - below.square()  # Φ itself is too small for a float
    if x.device.type in ("cpu", "cuda"):
        return torch.where(x < -_FAR, far, torch.special.log_ndtr(x.clamp(min=-_FAR)))
    above = x.clamp(min=-1) * math.sqrt(0.5)
    return torch.where(x < -1, far, torch.log1p(-torch.erfc(above) / 2))


def discretised_log_likelihood(x_0: Tensor, mean: Tensor, variance: Tensor | float) -> Tensor:
    """ln of the mass that N(mean, variance) puts into the bin of each 8-bit pixel (Ho et al. 2020, eq. 13).

    The 256 bins are 2/255 wide; the first and the last reach to infinity, so they sum to 1.

    Args:
        x_0: pixels in [−1, 1], each at the centre of a bin. (B, …)
    """
    std = variance.sqrt() if isinstance(variance, Tensor) else variance**0.5
    half = 1 / (BINS - 1)
    low, high = (x_0 - half - mean) / std, (x_0 + half - mean) / std
    far = 1e3  # standard deviations: as good as infinite, with sound gradients
    low, high = (
        torch.where(x_0 < -1 + half, high - far, low),
        torch.where(x_0 > 1 - half, low + far, high),
    )
    flip = low > 0  # the far tail is known better from the other side
    low, high = torch.where(flip, -high, low), torch.where(flip, -low, high)
    log_low, log_high = log_ndtr(low), log_ndtr(high)
    inside: Tensor = log_high + torch.log(-torch.expm1((log_low - log_high).clamp(max=-1e-30)))
    return inside


def log_density(x_0: Tensor, mean: Tensor, variance: Tensor | float) -> Tensor:
    """ln N(x_0; mean, variance) of each element, for data that are no pixels but any numbers. (B, …)"""
    return -gaussian_nll(x_0 - mean, variance)


Likelihood = Callable[[Tensor, Tensor, Tensor | float], Tensor]
"""ln p(x_0|x_1) of each element, from x_0, mean and variance. (B, …)"""


def discretised_term(x_0: Tensor, x0_hat: Tensor, variance: Tensor | float) -> Tensor:
    """L_0 = −ln p(x_0|x_1) for 8-bit pixels. nats (B,)"""
    return -discretised_log_likelihood(x_0, x0_hat, variance).flatten(1).sum(1)


def continuous_term(x_0: Tensor, x0_hat: Tensor, variance: Tensor | float) -> Tensor:
    """L_0 = −ln p(x_0|x_1) for continuous data. nats (B,)"""
    return -log_density(x_0, x0_hat, variance).flatten(1).sum(1)


FirstTerm = Callable[[Tensor, Tensor, Tensor | float], Tensor]


def term(
    model: ReverseModel, tables: Tables, t: int, x_0: Tensor, noise: Tensor,
    first: FirstTerm = discretised_term,
) -> Tensor:  # fmt: skip
    """The term of the bound that belongs to the reverse step t → t−1: L_0 at t = 1, else L_{t−1}. nats (B,)

    Args:
        x_0: float64 (B, …); noise of the same shape leads to x_t.
        first: how L_0 is measured.
    """
    x_t = diffuse(x_0, noise, tables.alpha_bar_at(t))
    x0_hat, variance = model(x_t, t)
    if t == 1:
        return first(x_0, x0_hat, variance)
    return matching_term(tables, t, x_0, x0_hat, variance)


# --- the other decomposition, over triples x_{t−1}, x_t, x_{t+1} (Luo eq. 44, 45) ---------------------------


def reverse_mean(tables: Tables, t: int, x_t: Tensor, x0_hat: Tensor) -> Tensor:
    """μ̂ of p(x_{t−1}|x_t) from x̂_0."""
    alpha_bar, before = tables.alpha_bar_at(t), tables.alpha_bar_at(t - 1)
    gain = math.sqrt(float(tables.alpha[t])) * (1 - before) / (1 - alpha_bar)
    return gain * x_t + posterior_gain(tables, t) * x0_hat


def triple(tables: Tables, t: int, x_0: Tensor, noises: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    """(x_{t−1}, x_t, x_{t+1}) of one forward chain, 1 ≤ t < T."""
    before = diffuse(x_0, noises[0], tables.alpha_bar_at(t - 1))
    now = diffuse(before, noises[1], float(tables.alpha[t]))
    return before, now, diffuse(now, noises[2], float(tables.alpha[t + 1]))


def consistency_term(
    model: ReverseModel, tables: Tables, t: int, x_0: Tensor, noises: tuple[Tensor, Tensor, Tensor]
) -> Tensor:
    """ln q(x_t|x_{t−1}) − ln p(x_t|x_{t+1}) for one triple (Luo eq. 44). nats (B,)

    Its mean is a term of the bound. It needs x_t itself, so its variance is larger than that of `term`.
    """
    before, now, after = triple(tables, t, x_0, noises)
    x0_hat, variance = model(after, t + 1)
    forward = gaussian_nll(now - float(tables.alpha[t]) ** 0.5 * before, float(tables.beta[t]))
    reverse = gaussian_nll(now - reverse_mean(tables, t + 1, after, x0_hat), variance)
    return (reverse - forward).flatten(1).sum(1)


def printed_consistency_term(
    model: ReverseModel, tables: Tables, t: int, x_0: Tensor, noises: tuple[Tensor, Tensor, Tensor]
) -> Tensor:
    """KL(q(x_t|x_{t−1}) ‖ p(x_t|x_{t+1})) as Luo eq. 45 prints it: not a term of the bound. nats (B,)

    It draws x_t from q(x_t|x_{t−1}) although x_{t+1}, which came from x_t, is given.
    """
    before, _, after = triple(tables, t, x_0, noises)
    x0_hat, variance = model(after, t + 1)
    mean = reverse_mean(tables, t + 1, after, x0_hat)
    difference = float(tables.alpha[t]) ** 0.5 * before - mean
    return gaussian_kl(difference, float(tables.beta[t]), variance).flatten(1).sum(1)


def last_term(tables: Tables, x_0: Tensor, noise: Tensor) -> Tensor:
    """KL(q(x_T|x_{T−1}) ‖ N(0, I)) for one x_{T−1}, the prior term of Luo eq. 45. nats (B,)"""
    before = diffuse(x_0, noise, tables.alpha_bar_at(tables.steps - 1))
    alpha = float(tables.alpha[tables.steps])
    return gaussian_kl(alpha**0.5 * before, 1 - alpha, 1.0).flatten(1).sum(1)

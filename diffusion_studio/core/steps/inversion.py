"""DDIM inversion: the deterministic step run upwards, to carry an image to the noise it comes from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from diffusion_studio.core.denoisers.denoiser import Denoiser
from diffusion_studio.core.denoisers.readings import plus


@dataclass(frozen=True, eq=False)
class InversionStep:
    """One step upwards, from s to t > s."""

    index: int
    s: int
    t: int
    x_s: Tensor
    x_t: Tensor


def inversion(
    denoiser: Denoiser, times: Sequence[int], x_0: Tensor, labels: Tensor | None = None, rounds: int = 0
) -> Iterator[InversionStep]:
    """Carries images to noise along the probability flow (DDIM §4.3).

    x_t = √(ᾱ_t/ᾱ_s) x_s + √ᾱ_t (ς_t − ς_s) ε̂, with ε̂ seen from where the step begins; at t = 0, which no
    network knows, it is asked at t = 1. DDIM comes back with ε̂ seen from t, which is why the way back misses
    the image a little; each of `rounds` asks again at the end that was found, so that the step becomes the
    exact inverse of DDIM's (Pan et al. 2023).

    Args:
        times: decreasing, ending in 0, as a spacing gives them (S+1,); walked from the image up.
        x_0: (B, …) in [−1, 1].
        labels: int64 (B,), −1 for unconditional.
        rounds: further calls of the network in each step.

    Yields:
        S steps; the last one's x_t is the noise.
    """
    tables, x = denoiser.tables, x_0
    for index, (s, t) in enumerate(itertools.pairwise(reversed(times))):
        scale = (tables.alpha_bar_at(t) / tables.alpha_bar_at(s)) ** 0.5
        rise = tables.alpha_bar_at(t) ** 0.5 * (tables.noise_level_at(t) - tables.noise_level_at(s))
        end = plus(scale * x, denoiser(x, max(s, 1), labels).eps_hat, rise)
        for _ in range(rounds):
            end = plus(scale * x, denoiser(end, t, labels).eps_hat, rise)
        yield InversionStep(index, s, t, x, end)
        x = end


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """The point at `share` of the great circle from `a` to `b`, in each sample. (B, …)

    Noise lies on a sphere; a straight line between two points of it would lose length. Lengths in between go
    over linearly.
    """
    shape = a.shape
    x, y = a.flatten(1), b.flatten(1)
    lengths = x.norm(dim=1, keepdim=True), y.norm(dim=1, keepdim=True)
    u, v = x / lengths[0], y / lengths[1]
    angle = (u * v).sum(1, keepdim=True).clamp(-1, 1).arccos()
    sine = angle.sin()
    near = sine < 1e-6
    safe = sine.masked_fill(near, 1.0)
    first = (((1 - share) * angle).sin() / safe).masked_fill(near, 1 - share)
    second = ((share * angle).sin() / safe).masked_fill(near, share)
    length = (1 - share) * lengths[0] + share * lengths[1]
    point: Tensor = length * (first * u + second * v)
    return point.view(shape)

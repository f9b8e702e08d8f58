"""DDIM inversion: the deterministic step run upwards, to carry an image to the noise it comes from."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.denoiser import Denoiser
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.denoisers.readings import plus
from diffusion_studio.core.steps.clipping import Clip


@dataclass(frozen=True, eq=False)
class InversionStep:
    """One step upwards, from s to t > s."""

    index: int
    s: int
    t: int
    x_s: Tensor
    x_t: Tensor


def inversion(
    denoiser: Denoiser,
    times: Sequence[int],
    x_0: Tensor,
    labels: Tensor | None = None,
    rounds: int = 0,
    clip: Callable[[Prediction], Prediction] | None = None,
) -> Iterator[InversionStep]:
    """Carries images to noise along the probability flow (DDIM §4.3).

    x_t = √ᾱ_t x̂_0 + √(1−ᾱ_t) ε̂, both seen from where the step begins, x_s; at t = 0, which no network
    knows, x̂_0 is the image and ε̂ is asked at t = 1. DDIM comes back with both seen from x_t, which is why
    the way back misses the image a little; each of `rounds` asks again at the end that was found, and moves
    it by what the step down from there misses, so that the step becomes the exact inverse of DDIM's. From the
    second on, each picture is moved along the line through its last two ends to where that would miss least
    (Anderson mixing of depth 1, Pan et al. 2023). diffusers' DDIMInverseScheduler is given what the network
    says of x_s at the time t.

    Args:
        times: decreasing, ending in 0, as a spacing gives them (S+1,); walked from the image up.
        x_0: (B, …) in [−1, 1].
        labels: int64 (B,), −1 for unconditional.
        rounds: further calls of the network in each step.
        clip: as `reverse_chain` has it, with the same default: only if both ways read the network alike
            does the chain come back.

    Yields:
        S steps; the last one's x_t is the noise.
    """
    tables, x = denoiser.tables, x_0
    clip = Clip() if clip is None else clip
    for index, (s, t) in enumerate(itertools.pairwise(reversed(times))):
        now, before = tables.alpha_bar_at(t), tables.alpha_bar_at(s)
        seen = clip(denoiser(x, max(s, 1), labels))
        end = plus(now**0.5 * (seen.x0_hat if s else x), seen.eps_hat, (1 - now) ** 0.5)
        known: tuple[Tensor, Tensor] | None = None  # what the last end missed by, and where that moved it
        for _ in range(rounds):
            seen = clip(denoiser(end, t, labels))
            missed = x - plus(before**0.5 * seen.x0_hat, seen.eps_hat, (1 - before) ** 0.5)
            moved = plus(end, missed, (now / before) ** 0.5)
            end = moved if known is None else _between(missed, moved, *known)
            known = missed, moved
        yield InversionStep(index, s, t, x, end)
        x = end


def _between(missed: Tensor, moved: Tensor, missed_before: Tensor, moved_before: Tensor) -> Tensor:
    """Where the line through two moved ends would miss least, in each sample. (B, …)"""
    change = missed - missed_before
    inner = tuple(range(1, change.ndim))
    length = change.square().sum(inner, keepdim=True)
    share = (missed * change).sum(inner, keepdim=True) / length.clamp(min=torch.finfo(length.dtype).tiny)
    return moved - share * (moved - moved_before)


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

"""The reverse chain as a generator: the caller owns the loop, the pictures and the stopping."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from diffusion_studio.core.denoisers import Denoiser
from diffusion_studio.core.kernel import ReverseKernel
from diffusion_studio.core.predictions import Prediction
from diffusion_studio.core.samplers import Sampler

NoiseSource = Callable[[int, tuple[int, ...]], Tensor]


@dataclass(frozen=True, eq=False)
class ChainStep:
    """One reverse step, with everything that went into it."""

    index: int  # 0 is the step that begins at noise
    t: int
    s: int
    x_t: Tensor
    prediction: Prediction
    kernel: ReverseKernel
    noise: Tensor | None
    x_s: Tensor


def reverse_chain(
    denoiser: Denoiser,
    sampler: Sampler,
    times: Sequence[int],
    x: Tensor,
    noise: NoiseSource,
    labels: Tensor | None = None,
    clip: bool = True,
    first: int = 0,
) -> Iterator[ChainStep]:
    """Walks down the reverse chain.

    Args:
        times: strictly decreasing, from noise to image, as a spacing gives them (S+1,).
        x: the state at times[first], (B, …).
        noise: noise(t, shape) gives the noise of the step that begins at t.
        labels: int64 (B,), −1 for unconditional.
        clip: keep x̂_0 within [−1, 1] and derive ε̂ again from it.
        first: index of the first step, to go on in the middle of a chain.

    Yields:
        S − first steps.
    """
    steps = itertools.pairwise(times)
    kernels = [(t, s, sampler.kernel(denoiser.tables, t, s)) for t, s in steps]
    for index, (t, s, kernel) in enumerate(kernels[first:], start=first):
        prediction = denoiser(x, t, labels)
        if clip:
            prediction = prediction.clipped()
        z = noise(t, tuple(x.shape)).to(x) if kernel.sigma > 0 else None
        x_s = sampler.step(kernel, prediction, z)
        yield ChainStep(index, t, s, x, prediction, kernel, z, x_s)
        x = x_s

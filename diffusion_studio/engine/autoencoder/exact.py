"""The linear case of a set of images, exactly: principal components and probabilistic PCA."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.autoencoder.linear import LinearVAE, active_latents, best_variance
from diffusion_studio.core.autoencoder.principal import PrincipalComponents, random_turn, subspace_angle
from diffusion_studio.engine.autoencoder.model import CodeModel
from diffusion_studio.engine.runs.autoencoder_config import VAEConfig
from diffusion_studio.models.autoencoder import Shape

MOST_PIXELS = 1024  # of an image; the covariance of more would not fit
MOST_IMAGES = 20_000
SHOWN = 8  # components that are drawn
_LEAST = 1e-4  # variance that every direction has, as pixels of 8 bits do


@dataclass(frozen=True, eq=False)
class ExactCase:
    """What is known of codes of size k with decoder variance σ².

    Args:
        values: variance along each principal direction, falling. (d,)
        best: σ² of the optimum.
        log_p: ln p(x) of the optimum for this σ², mean over the images; the ELBO is the same. nats
        best_log_p: the same for the best σ².
        discarded: squared error of the best code of size k.
        pictures: the first components, grey at 0. uint8 (n, H, W, C)
    """

    values: NDArray[np.float64]
    size: int
    variance: float
    best: float
    active: int
    log_p: float
    best_log_p: float
    discarded: float
    share: float
    pictures: NDArray[np.uint8]

    @property
    def dims(self) -> int:
        return len(self.values)


@dataclass(frozen=True, eq=False)
class LearnedLinear:
    """What a linear network learned, beside it.

    Args:
        angle: to the principal components, degrees.
        error: mean squared error of an image, summed over its pixels.
        turned_error: the same after the code was turned by a random matrix, and the decoder by its inverse.
        pictures: what its decoder spans, as principal directions. uint8 (n, H, W, C)
        values: of a VAE, the variance that it gives to each direction it spans, falling. (k,)
        variance: of a VAE, its σ².
        log_p: of a VAE, the mean of its own ln p(x), exactly. nats
    """

    angle: float
    error: float
    turned_error: float
    pictures: NDArray[np.uint8]
    values: NDArray[np.float64]
    variance: float
    log_p: float


def principal_parts(images: NDArray[np.uint8]) -> PrincipalComponents | None:
    """Of images (N, C, H, W) in [−1, 1]; None where they are too large for it."""
    if images[0].size > MOST_PIXELS:
        return None
    return PrincipalComponents.of(torch.from_numpy(images[:MOST_IMAGES] / 127.5 - 1))


def exact_case(parts: PrincipalComponents, k: int, variance: float, shape: Shape) -> ExactCase:
    """The optimum for a code of size k < d and this σ²."""
    best = max(best_variance(parts, k), _LEAST)
    chosen, top = (LinearVAE.optimum(parts, k, v) for v in (variance, best))
    return ExactCase(
        parts.values.numpy(), k, variance, best, min(active_latents(parts.values, variance), k),
        chosen.mean_log_density(parts), top.mean_log_density(parts), parts.discarded(k), parts.share(k),
        _as_pictures(parts.axes[:, : min(k, SHOWN)], shape),
    )  # fmt: skip


def learned_linear(
    model: CodeModel, parts: PrincipalComponents, images: NDArray[np.uint8], seed: int
) -> LearnedLinear | None:
    """What a linear network learned; None of any other network."""
    weights = model.network.weights
    if weights is None:
        return None
    decoder = weights[1].detach().cpu().double()
    before, after = turned_errors(model, images, seed)
    k = min(model.size, decoder.shape[1])
    span, sizes, _ = torch.linalg.svd(decoder, full_matrices=False)
    aligned = span @ (span.T @ parts.axes[:, : min(k, SHOWN)])  # the nearest to each component in the span
    pictures = _as_pictures(aligned, model.shape)
    angle = subspace_angle(parts.axes[:, : model.size], decoder)
    if not _is_gaussian(model):
        return LearnedLinear(angle, before, after, pictures, np.empty(0), math.nan, math.nan)
    variance = float(model.network.log_variance.exp())
    vae = LinearVAE(decoder, _output_at_zero(model), variance)
    values = (sizes**2 + variance).numpy()
    return LearnedLinear(angle, before, after, pictures, values, variance, vae.mean_log_density(parts))


def _is_gaussian(model: CodeModel) -> bool:
    """Whether it is a linear-Gaussian VAE of one level."""
    return model.config.kind == VAEConfig.kind and not model.decoder.is_binary


def _output_at_zero(model: CodeModel) -> Tensor:
    """What the decoder makes of the code 0, flat. float64 (d,)"""
    with torch.inference_mode():
        out = model.network.decode(torch.zeros(1, model.size, device=model.device))
    return out.flatten().cpu().double()


def turned_errors(model: CodeModel, images: NDArray[np.uint8], seed: int) -> tuple[float, float]:
    """Squared error per image, as it is and after z → A z, D → D ∘ A⁻¹ (Course §1.1)."""
    turn = random_turn(model.size, torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        x = model.pixels(images)
        codes = model.network.encode(x)[0].cpu().double()
        turned = torch.linalg.solve(turn, turn @ codes.T).T
        found = [_error(model, x, z.float().to(x.device)) for z in (codes, turned)]
    return found[0], found[1]


def _error(model: CodeModel, x: Tensor, z: Tensor) -> float:
    out = model.network.decode(z)
    if model.decoder.is_binary:
        out = model.decoder.image(out)
    return float(((out - x) ** 2).flatten(1).sum(1).mean())


def _as_pictures(axes: Tensor, shape: Shape) -> NDArray[np.uint8]:
    """Directions as pictures, 0 in the middle of grey, the sign so that the largest value is bright."""
    flat = axes.T.numpy()  # (n, d)
    largest = np.take_along_axis(flat, np.abs(flat).argmax(1)[:, None], 1)
    scaled = flat / np.where(largest == 0, 1, largest)
    pixels = np.rint(127.5 * (1 + np.clip(scaled, -1, 1))).astype(np.uint8)
    return pixels.reshape(-1, *shape).transpose(0, 2, 3, 1)


def bits(nats: float, dims: int) -> float:
    """Nats of a density per image as bits per dimension of pixels in [−1, 1] with 8 bits each."""
    return nats / (dims * math.log(2)) + math.log2(127.5)

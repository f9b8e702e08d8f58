"""What a trained autoencoder is worth: its bound, the gap to ln p(x), its latents, its samples."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.autoencoder.gaussians import Normal
from diffusion_studio.core.autoencoder.gradients import gradients
from diffusion_studio.core.autoencoder.hierarchy import by_posterior, over_triples, plain
from diffusion_studio.core.autoencoder.weighted import importance_weighted
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.autoencoder.bound import bound_terms
from diffusion_studio.engine.autoencoder.model import CodeModel
from diffusion_studio.engine.files.figures import Figure
from diffusion_studio.engine.runs.autoencoder_config import VAEConfig
from diffusion_studio.models.autoencoder import HierarchyNetwork

ACTIVE = 0.02  # nats of KL from which a latent counts as active
_AT_ONCE = 64  # images


@dataclass(frozen=True)
class CodeReport:
    """The bound on −ln p(x) in bits per dimension, and what it is made of.

    Of a plain autoencoder only the squared error is known: the other figures are NaN.
    """

    images: int
    draws: int
    dims: int
    squared_error: float  # per pixel, of [−1, 1]
    total: Figure  # −ELBO
    total_error: Figure  # standard error over images
    reconstruction: Figure
    kl: Figure
    latents: tuple[float, ...]  # KL of each latent or level, nats
    weighted: Figure  # −ln p(x) by importance weights
    binary: bool  # whether pixels were made black or white, so that bits cannot be compared with others

    @property
    def active(self) -> int:
        """How many latents carry something."""
        return sum(kl > ACTIVE for kl in self.latents)

    @property
    def gap(self) -> float:
        """How far the bound lies from −ln p(x), bits per dimension (Luo eq. 9 to 16)."""
        return self.total - self.weighted


def measure(
    model: CodeModel, images: NDArray[np.uint8], draws: int, seed: int
) -> Iterator[tuple[int, int] | CodeReport]:
    """(done, total) images, then the report.

    Args:
        images: (n, C, H, W).
        draws: K of the importance weights.
    """
    generator = torch.Generator(model.device).manual_seed(seed)
    bits = math.log(2) * images[0].size
    squares: list[Tensor] = []
    rows: list[tuple[Tensor, Tensor, Tensor]] = []  # reconstruction, KL, ln p(x) of each image
    for start in range(0, len(images), _AT_ONCE):
        part = images[start : start + _AT_ONCE]
        with torch.inference_mode():
            x = model.pixels(part)
            out = model.decoder.image(model.network.decode(model.network.encode(x)[0]))
            squares.append(((out - x) ** 2).flatten(1).mean(1))
            if isinstance(model.config, VAEConfig):
                terms = bound_terms(model.network, model.decoder, x, generator, 8, exact_bins=True)
                known = importance_weighted(log_weights(model, part, draws, generator))
                rows.append((terms.reconstruction, terms.kl, known))
        yield min(start + _AT_ONCE, len(images)), len(images)
    error = float(torch.cat(squares).mean())
    yield _report(model, rows, error, bits, draws, images)


def _report(
    model: CodeModel, rows: list[tuple[Tensor, Tensor, Tensor]], error: float, bits: float, draws: int,
    images: NDArray[np.uint8],
) -> CodeReport:  # fmt: skip
    n, dims = len(images), int(images[0].size)
    if not rows:
        nan = math.nan
        return CodeReport(n, draws, dims, error, nan, nan, nan, nan, (), nan, False)
    reconstruction, kl, known = (torch.cat(list(part)).cpu().double() for part in zip(*rows, strict=True))
    total = (reconstruction + kl.sum(1)) / bits
    spread = float(total.std() / math.sqrt(n)) if n > 1 else math.nan
    return CodeReport(
        n, draws, dims, error, float(total.mean()), spread, float(reconstruction.mean() / bits),
        float(kl.sum(1).mean() / bits), tuple(kl.mean(0).tolist()), float(-known.mean() / bits),
        model.decoder.is_binary,
    )  # fmt: skip


def log_weights(
    model: CodeModel, images: NDArray[np.uint8], draws: int, generator: torch.Generator
) -> Tensor:
    """ln p(x, z) − ln q(z|x) of independent draws, in nats of the mass of 8-bit pixels. (L, B)"""
    x = model.pixels(images)
    return torch.stack([_log_weight(model, x, generator) for _ in range(draws)])


def _log_weight(model: CodeModel, x: Tensor, generator: torch.Generator) -> Tensor:
    network, decoder = model.network, model.decoder

    def log_mass(pixels: Tensor, out: Tensor) -> Tensor:
        return decoder.log_mass(pixels, out, network.log_variance)

    def noise(t: int, q: Normal) -> Tensor:
        return torch.randn(q.mean.shape, generator=generator, device=x.device)

    if isinstance(network, HierarchyNetwork):
        hierarchy, flat = network.hierarchy(log_mass), x.flatten(1)
        return plain(hierarchy, flat, hierarchy.draw(flat, noise))
    mean, log_variance = network.encode(x)
    q = Normal(mean, log_variance.exp())
    z = q.draw(noise(1, q))
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    return log_mass(x, network.decode(z)) + prior.log_density(z) - q.log_density(z)


@dataclass(frozen=True)
class Scatter:
    """Mean and standard deviation over draws of the bound of one image, by each way to write it. nats"""

    plain: tuple[float, float]
    triples: tuple[float, float]
    posterior: tuple[float, float]


def scatter(model: CodeModel, image: NDArray[np.uint8], draws: int, seed: int) -> Scatter:
    """How much the decompositions of a hierarchy's bound vary from draw to draw.

    Args:
        image: (C, H, W).

    Raises:
        Refused: it has no levels.
    """
    network = model.network
    if not isinstance(network, HierarchyNetwork):
        raise Refused(tr("Only a hierarchy has several ways to write its bound; train one of the kind hvae."))
    generator = torch.Generator().manual_seed(seed)

    def noise(t: int, q: Normal) -> Tensor:
        return torch.randn(q.mean.shape, generator=generator).double()

    network = copy.deepcopy(network).cpu().double()  # not every device knows such numbers
    with torch.inference_mode():
        x = model.pixels(image[None]).cpu().double().expand(draws, -1, -1, -1).flatten(1)
        found = network.hierarchy(lambda p, out: model.decoder.log_density(p, out, network.log_variance))
        states = found.draw(x, noise)
        totals = (
            plain(found, x, states),
            over_triples(found, x, states).total,
            by_posterior(found, x, states).total,
        )
    return Scatter(*((float(total.mean()), float(total.std())) for total in totals))


def gradient_variances(
    model: CodeModel, image: NDArray[np.uint8], draws: int, seed: int
) -> tuple[float, float]:
    """The variance of one draw of ∇ E_q ln p(x|z): through the draw, and by the score function.

    Args:
        image: (C, H, W).
    """
    generator = torch.Generator(model.device).manual_seed(seed)
    x = model.pixels(image[None])
    with torch.no_grad():
        mean, log_variance = (part[0] for part in model.network.encode(x))
    noise = torch.randn((draws, len(mean)), generator=generator, device=model.device)

    def f(z: Tensor) -> Tensor:
        return model.decoder.log_density(x, model.network.decode(z), model.network.log_variance)

    return gradients(f, mean, log_variance, noise).variances

"""What a trained autoencoder is worth: its bound, the gap to ln p(x), its latents, its samples."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.autoencoder.gaussians import Normal
from diffusion_studio.core.autoencoder.gradients import Gradients, gradients
from diffusion_studio.core.autoencoder.hierarchy import by_posterior, over_triples, plain
from diffusion_studio.core.autoencoder.weighted import importance_weighted
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.autoencoder.bound import BoundTerms, bound_terms
from diffusion_studio.engine.autoencoder.model import CodeModel, Heed, go_on
from diffusion_studio.engine.files.figures import Figure
from diffusion_studio.engine.runs.autoencoder_config import VAEConfig
from diffusion_studio.models.autoencoder import HierarchyNetwork

ACTIVE = 0.02  # nats of KL from which a latent counts as active
_AT_ONCE, _DRAWS = 64, 8  # images that are measured together, draws of z of each for both terms
_WITH_GRADIENTS = 4  # how many times as much memory an image takes whose gradient is wanted


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
    together = min(_AT_ONCE, model.at_once)
    for start in range(0, len(images), together):
        part = images[start : start + together]
        with torch.inference_mode():
            x = model.pixels(part)
            out = model.decoder.image(model.network.decode(model.network.encode(x)[0]))
            squares.append(((out - x) ** 2).flatten(1).mean(1))
            if isinstance(model.config, VAEConfig):
                terms = _both_terms(model, x, generator)
                known = importance_weighted(log_weights(model, part, draws, generator))
                rows.append((terms.reconstruction, terms.kl, known))
        yield start + len(part), len(images)
    error = float(torch.cat(squares).mean())
    yield _report(model, rows, error, bits, draws, images)


def _both_terms(model: CodeModel, x: Tensor, generator: torch.Generator) -> BoundTerms:
    """Both terms of the bound from several draws of z, of so many at a time as there is room for."""
    each = min(_DRAWS, max(1, model.at_once // len(x)))
    counts = [min(each, _DRAWS - done) for done in range(0, _DRAWS, each)]
    found = [bound_terms(model.network, model.decoder, x, generator, n, exact_bins=True) for n in counts]
    shares = [n / _DRAWS for n in counts]
    return BoundTerms(
        torch.stack([part.reconstruction * share for part, share in zip(found, shares, strict=True)]).sum(0),
        torch.stack([part.kl * share for part, share in zip(found, shares, strict=True)]).sum(0),
    )


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


def scatter(model: CodeModel, image: NDArray[np.uint8], draws: int, seed: int, heed: Heed = go_on) -> Scatter:
    """How much the decompositions of a hierarchy's bound vary from draw to draw.

    The image is one row for all draws, so that what depends on it alone is worked out once: a covariance of
    two levels is as large as both of them multiplied.

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
        return torch.randn((draws, q.mean.shape[1]), generator=generator).double()

    network = copy.deepcopy(network).cpu().double()  # not every device knows such numbers
    with torch.inference_mode():
        x = model.pixels(image[None]).cpu().double().flatten(1)
        found = network.hierarchy(lambda p, out: model.decoder.log_density(p, out, network.log_variance))
        states = found.draw(x, noise)
        known = []  # ln p(x|z_1), which all three ask for
        for z in torch.split(states[0], model.at_once):
            heed()
            known.append(found.log_likelihood(x, z))
        likelihood = torch.cat(known)
        found = replace(found, log_likelihood=lambda x, z: likelihood)
        totals = []
        for way in (plain, lambda *of: over_triples(*of).total, lambda *of: by_posterior(*of).total):
            heed()
            totals.append(way(found, x, states))
    return Scatter(*((float(total.mean()), float(total.std())) for total in totals))


def gradient_variances(
    model: CodeModel, image: NDArray[np.uint8], draws: int, seed: int, heed: Heed = go_on
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

    found = []
    for part in torch.split(noise, max(1, model.at_once // _WITH_GRADIENTS)):
        heed()
        found.append(gradients(f, mean, log_variance, part))
    through, score = ([getattr(each, name) for each in found] for name in ("reparameterised", "score"))
    return Gradients(torch.cat(through), torch.cat(score)).variances

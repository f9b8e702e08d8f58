"""Looks at a network while it is trained: reconstructions, samples, codes, the KL of each latent."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.autoencoder.gaussians import kl_to_standard
from diffusion_studio.core.autoencoder.principal import PrincipalComponents, subspace_angle
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.autoencoder.bound import bound_terms
from diffusion_studio.engine.autoencoder.events import Looked
from diffusion_studio.engine.autoencoder.model import CodeModel, Floats
from diffusion_studio.engine.jobs.events import Progress
from diffusion_studio.engine.runs.autoencoder_config import VAEConfig
from diffusion_studio.models.autoencoder import HierarchyNetwork

SHOWN, SCATTERED = 24, 600  # pictures beside their reconstructions; codes drawn as points
EVERY, SHARE = 0.5, 0.01  # seconds between two looks, and the most of the time that they take
MOST_FOR_PRINCIPAL = 1024  # numbers of an image up to which the principal components are worked out
MOST_IMAGES = 20_000  # of which all are


class Onlooker:
    """Always looks at the same images with the same noise.

    Args:
        numbers: the images that are trained on.
    """

    def __init__(self, images: ImageSet, numbers: NDArray[np.int64], seed: int) -> None:
        self._seed = seed
        few = len(numbers) <= MOST_IMAGES and images.images[0].size <= MOST_FOR_PRINCIPAL
        self._all = images.images[numbers] if few else None
        chosen = _even(numbers, SCATTERED)
        self._some, self._labels = images.images[chosen], images.labels[chosen]
        self._shown = _even(np.arange(len(chosen)), SHOWN)  # which of these
        self._parts: PrincipalComponents | None = None
        self._next, self._step = 0.0, -1

    def due(self, progress: Progress, last: bool) -> bool:
        if progress.step == self._step:
            return False
        return last or progress.seconds >= self._next

    def look(self, model: CodeModel, progress: Progress) -> Looked:
        """What the network does now."""
        start = time.perf_counter()
        found = self.seen(model)
        spent = time.perf_counter() - start
        self._next, self._step = progress.seconds + max(EVERY, spent / SHARE), progress.step
        return found

    def seen(self, model: CodeModel) -> Looked:
        """The same without heed of the time."""
        shown = np.ascontiguousarray(self._some[self._shown].transpose(0, 2, 3, 1))
        codes, kl = self._codes(model)
        drawn = model.drawn(SHOWN, self._seed)
        pictures = model.decoded(np.concatenate([codes[self._shown], drawn]))  # all at once
        return Looked(
            model.step, model, shown, pictures[: len(shown)], pictures[len(shown) :],
            codes, self._labels, kl, self._angle(model), float(model.network.log_variance.exp()),
        )  # fmt: skip

    def _codes(self, model: CodeModel) -> tuple[Floats, Floats]:
        """μ of some images, (n, k), and the KL of each latent, or level; a plain autoencoder has none."""
        generator = torch.Generator(model.device).manual_seed(self._seed)
        with torch.inference_mode():
            parts = [_code(model, part, generator) for part in model.parts(self._some)]
            mean, kl = (torch.cat(each) for each in zip(*parts, strict=True))
            kl = kl.mean(0) if isinstance(model.config, VAEConfig) else kl[:0, 0]
        return mean.cpu().numpy(), kl.cpu().numpy()

    def _angle(self, model: CodeModel) -> float:
        """Between what a linear decoder spans and the first principal components, in degrees."""
        weights, parts = model.network.weights, self.principal()
        if weights is None or parts is None:
            return float("nan")
        return subspace_angle(parts.axes[:, : model.size], weights[1].cpu())

    def principal(self) -> PrincipalComponents | None:
        """Of the images that are trained on; None where they are too large."""
        images = self._all if self._all is not None else self._some
        if images[0].size > MOST_FOR_PRINCIPAL:
            return None
        if self._parts is None:
            self._parts = PrincipalComponents.of(torch.from_numpy(images / 127.5 - 1))
        return self._parts


def _code(model: CodeModel, images: NDArray[np.uint8], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """μ of images, (n, k), and the KL of each latent or level; of a plain autoencoder no one asks for it."""
    pixels = model.pixels(images)
    mean, log_variance = model.network.encode(pixels)
    if isinstance(model.network, HierarchyNetwork):
        return mean, bound_terms(model.network, model.decoder, pixels, generator).kl
    return mean, kl_to_standard(mean, log_variance)


def _even(numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    places = np.linspace(0, len(numbers) - 1, min(count, len(numbers))).astype(np.int64)
    return numbers[np.unique(places)]

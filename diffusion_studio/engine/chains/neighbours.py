"""Which training images a sample is nearest to: has the model learned, or does it remember?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_studio.core.denoisers.exact import MemorisingDenoiser
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.chains.source import ImageMemory, pieces
from diffusion_studio.engine.chains.trajectory import Trajectory


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest training images of each sample, the nearest first."""

    indices: NDArray[np.int64]  # (n, k)
    distances: NDArray[np.float64]  # root mean square difference of their pixels in [−1, 1], (n, k)


def nearest(samples: NDArray[np.float32], images: ImageSet, count: int = 3) -> Neighbours:
    """The `count` nearest training images of each sample.

    Args:
        samples: (n, C, H, W) in [−1, 1].
    """
    x = torch.from_numpy(np.ascontiguousarray(samples)).flatten(1)
    parts = []
    for y in pieces(images.images):
        parts.append(torch.cdist(x, y.flatten(1), compute_mode="donot_use_mm_for_euclid_dist"))
    distances = torch.cat(parts, dim=1)
    found = distances.topk(min(count, distances.shape[1]), largest=False)
    return Neighbours(found.indices.numpy(), found.values.double().numpy() / x.shape[1] ** 0.5)


def remembered(record: Trajectory, k: int, images: ImageSet, samples: int) -> NDArray[np.float32]:
    """x̂_0 of the memorising denoiser at the record's own state k, for its first samples. (samples, C, H, W)

    What a network that only remembered the training images would see in the same x_t; at the image itself,
    the state before it is taken. In a code it remembers codes, and what it sees is decoded.
    """
    chain = record.chain
    source, tables = chain.source, chain.source.tables
    k = min(k, record.steps - 1)
    states = None if source.code is None else source.states
    memory = ImageMemory(images.images, torch.device("cpu"), states)
    labels = torch.from_numpy(images.labels) if images.conditional_possible else None
    denoiser = MemorisingDenoiser(tables, memory, labels)
    x = torch.from_numpy(record.x_t(k)[:samples])
    asked = chain.labels() if labels is not None else None
    prediction = denoiser(x, record.times[k], None if asked is None else asked[:samples].cpu())
    values: NDArray[np.float32] = source.pictures(prediction.x0_hat).cpu().numpy()
    return values

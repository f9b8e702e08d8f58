"""What the training of an autoencoder tells beside its losses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.engine.autoencoder.model import CodeModel
from diffusion_studio.engine.jobs.events import Event


@dataclass(frozen=True, eq=False)
class BoundTold(Event):
    """Both terms of each step since the last time, in nats per image (ae: squared error, and 0)."""

    first_step: int
    reconstruction: NDArray[np.float32]  # (n,)
    kl: NDArray[np.float32]  # (n,)


@dataclass(frozen=True, eq=False)
class LossesRead(Event):
    """What a run on disk knows of its training: the loss of each step, per number of an image."""

    steps: NDArray[np.int64]  # (n,)
    losses: NDArray[np.float64]  # (n,); NaN where it was not a number


@dataclass(frozen=True, eq=False)
class Looked(Event):
    """What the network does at this moment, drawn always from the same images and the same noise."""

    step: int
    model: CodeModel  # a copy that training no longer touches
    originals: NDArray[np.uint8]  # (n, H, W, C)
    reconstructions: NDArray[np.uint8]
    samples: NDArray[np.uint8]  # decoded from N(0, I)
    codes: NDArray[np.float32]  # μ of some images, (m, k)
    labels: NDArray[np.int64]  # of these, −1: none
    kl: NDArray[np.float32]  # of each latent or level, mean over these, nats
    angle: float  # of a linear network to the principal components, degrees; NaN of any other
    decoder_variance: float  # σ² as it stands


@dataclass(frozen=True)
class WeightChanged(Event):
    """From this step on the KL has another weight."""

    step: int
    kl_weight: float

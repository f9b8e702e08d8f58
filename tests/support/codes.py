"""Small images with a clear spectrum, and autoencoders that learn them in no time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffusion_studio.core.describe import with_values
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.autoencoder.session import CodeSession, new_session, resumed_session, train
from diffusion_studio.engine.autoencoder.task import AutoencoderTask
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.autoencoder_config import BY_KIND, AutoencoderConfig

CPU = torch.device("cpu")
SPREADS = (60.0, 40.0, 27.0, 5.0)  # standard deviations of the directions, in grey levels; the others: 4


def spectrum_images(count: int = 800, side: int = 4, seed: int = 0) -> ImageSet:
    """Grey images that vary much along three directions and little along all others."""
    random = np.random.default_rng(seed)
    pixels = side * side
    axes, _ = np.linalg.qr(random.normal(size=(pixels, pixels)))
    spreads = np.array([*SPREADS, *[4.0] * (pixels - len(SPREADS))])
    points = 127.5 + (random.normal(size=(count, pixels)) * spreads) @ axes.T
    images = np.clip(np.rint(points), 0, 255).astype(np.uint8).reshape(count, 1, side, side)
    names = tuple(f"{k}.png" for k in range(count))
    return ImageSet(images, np.full(count, -1, np.int64), (), names, (), "spectrum", "spectrum")


def code_config(kind: str = "vae", **values: Any) -> AutoencoderConfig:
    """A small one of this kind; `values` by dotted paths, dots written as two underscores."""
    small = {"code__size": 3, "code__width": 16, "training__steps": 20, "training__seconds": 0,
             "training__batch_size": 16}  # fmt: skip
    changes = [(path.replace("__", "."), value) for path, value in (small | values).items()]
    return with_values(BY_KIND[kind](), changes)


def learned(config: AutoencoderConfig, images: ImageSet) -> AutoencoderTask:
    """A task after all its steps, without the loop around it."""
    task = AutoencoderTask(config, images, np.arange(images.count), CPU, Control())
    steps = config.training.steps
    for number in range(steps):
        task.step(number, number / steps)
    return task


def trained_in(
    path: Path, config: AutoencoderConfig, control: Control | None = None
) -> tuple[CodeSession, list[events.Event]]:
    """A run trained to its limit, new or gone on with, and what was told; a pause ends at once."""
    wish = control or Control()
    made = resumed_session(path, CPU, wish) if path.exists() else new_session(path, config, CPU, wish)
    return made, list(_going_on(train(made), wish))


def _going_on(told: Iterator[events.Event], control: Control) -> Iterator[events.Event]:
    for event in told:
        yield event
        if isinstance(event, events.Paused):
            control.resume()

"""What first states are made of: images that were read, and the noise that they come from."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.steps.inversion import InversionStep, inversion
from diffusion_studio.core.words import tr
from diffusion_studio.data.decode import Frame, decode
from diffusion_studio.data.errors import BadImage
from diffusion_studio.data.imageset import COLOURS, to_model_range

if TYPE_CHECKING:
    from diffusion_studio.engine.chains.chain import Chain

R = TypeVar("R")


def read_images(files: Sequence[str], sides: tuple[int, int], channels: int) -> Tensor:
    """Image files, cropped and scaled as for training. (n, C, H, W) in [−1, 1]

    Args:
        sides: (H, W).

    Raises:
        Refused: a file that cannot be read, with its name and the reason; channels that no picture has.
    """
    if channels not in COLOURS:
        raise Refused(
            tr("No image can be brought to the {channels} channels of this model.", channels=channels)
        )
    frame = Frame(sides[0], channels, width=sides[1])
    found = []
    for file in files:
        path = Path(file)
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise Refused(
                tr("{name} cannot be used: It is no regular file. Choose another image.", name=path.name)
            )
        try:
            found.append(decode(path, frame).pixels.transpose(2, 0, 1))
        except BadImage as error:
            raise Refused(
                tr(
                    "{name} cannot be used: {reason} Choose another image.",
                    name=path.name,
                    reason=error.reason,
                )
            ) from None
    return torch.from_numpy(to_model_range(np.stack(found)))


def images_of(chain: Chain, count: int) -> Tensor:
    """The images that the chain begins at, as its states, repeated in turn. (count, C, H, W)

    Raises:
        Refused: no image, or one that cannot be read.
    """
    files = chain.spec.start.files
    if not files:
        raise Refused(tr("Choose an image first: the chain is to begin at one."))
    source = chain.source
    found = source.states(read_images(files, source.sides, source.channels).to(chain.device))
    return found[torch.arange(count, device=chain.device) % len(found)]


def inverted(chain: Chain, x_0: Tensor, rounds: int) -> Generator[InversionStep, None, Tensor]:
    """The noise that `x_0` comes from, over the chain's own times. (n, C, H, W)"""
    labels = chain.labels()
    labels = None if labels is None else labels[: len(x_0)]
    x = x_0
    for step in inversion(chain.denoiser, chain.times, x_0, labels, rounds, chain.clip):
        x = step.x_t
        yield step
    return x


def exhausted(stream: Generator[Any, None, R]) -> R:
    """What a generator returns in the end."""
    while True:
        try:
            next(stream)
        except StopIteration as end:
            value: R = end.value
            return value

"""Whether a network has room on a device, found out before it takes any."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import torch
from torch import nn

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr

TRAINED = 20  # bytes of one weight while it is trained: itself, its gradient, its average, two moments


def check_room(build: Callable[[], nn.Module], device: torch.device) -> None:
    """Counts the weights of a network that is built from shapes alone.

    Args:
        build: makes the network where torch puts new tensors.

    Raises:
        Refused: it cannot be trained in the memory of the device; the message is a sentence.
    """
    with torch.device("meta"):
        check_count(sum(weights.numel() for weights in build().parameters()), device)


def check_count(count: int, device: torch.device) -> None:
    """Raises Refused where so many weights cannot be trained in the memory of the device."""
    there = memory_of(device)
    if TRAINED * count > there:
        raise Refused(
            tr(
                "The network would have {count:.1f} billion weights and need {needed:,.0f} GB to be "
                "trained; there are {there:,.0f} GB. Choose a smaller width, or fewer layers or levels.",
                count=count / 1e9,
                needed=TRAINED * count / 1e9,
                there=there / 1e9,
            )
        )


def free_memory(device: torch.device | None = None) -> int:
    """Of a device or, without one, of the machine, in bytes."""
    if device is not None and device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def memory_of(device: torch.device) -> int:
    """All of its memory, in bytes."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().total)

"""What differs between the devices on which tensors lie."""

from __future__ import annotations

import torch
from torch import Tensor


def finest(device: torch.device | str) -> torch.dtype:
    """The finest floating type that a device has: Apple's GPUs know no float64."""
    return torch.float64 if torch.device(device).type in ("cpu", "cuda") else torch.float32


def copies_ahead(device: torch.device) -> bool:
    """Whether what lies in pinned memory reaches the device while both go on computing."""
    return device.type == "cuda"


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Values of the processor on another device, which does not wait for them where it need not."""
    if values.device.type == "cpu" and copies_ahead(device):
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)

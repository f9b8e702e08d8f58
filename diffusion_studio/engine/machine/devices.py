"""Which processor trains, and at which precision."""

from __future__ import annotations

import ctypes
import sys
import time
from functools import cache
from typing import cast

import torch

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import plural, tr
from diffusion_studio.engine.machine.memory import keep_freed_memory
from diffusion_studio.models.side_by_side import PROCESSORS, with_helpers
from diffusion_studio.models.unet import Precision, autocast

BF16_FROM = 28  # pixels: samples of smaller images take so little time on a processor that they stay exact
_TRIED = (16, 32, 14, 14)  # images that a convolution is tried with
_TURNS = 6  # of each precision


def choose_device(choice: str = "auto") -> torch.device:
    """The device to work on; a processor's memory is prepared for it.

    Args:
        choice: one of `available_devices`, or auto for the first of them; cuda is the first of several.

    Raises:
        Refused: a device that this machine or this torch does not have.
    """
    keep_freed_memory()
    present = available_devices()
    if choice == "auto":
        return torch.device(present[0])
    if choice.removesuffix(":0") not in present:
        raise Refused(
            tr(
                "This machine has no device {choice!r} that PyTorch can use. Available: {present}.",
                choice=choice,
                present=", ".join(present),
            )
        )
    return torch.device(choice)


def available_devices() -> tuple[str, ...]:
    """The names of usable devices, the fastest first: cuda, cuda:1, …, mps, cpu."""
    found = []
    if torch.cuda.is_available():
        found += ["cuda", *(f"cuda:{number}" for number in range(1, torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        found.append("mps")
    return (*found, "cpu")


def named_devices() -> list[tuple[str, str]]:
    """Each of them with what a person calls it."""
    return [(name, device_name(torch.device(name))) for name in available_devices()]


def is_fast(device: torch.device) -> bool:
    """Whether the device is an accelerator, for which larger networks are chosen."""
    return device.type != "cpu"


def choose_precision(choice: str, device: torch.device) -> Precision:
    """fp32 or bf16 of a training, by the machine alone, so that it can be repeated (docs/adr/0002)."""
    if choice in ("fp32", "bf16"):
        return cast(Precision, choice)
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if device.type == "cpu" and bf16_is_faster() else "fp32"


@cache
def bf16_is_faster() -> bool:
    """Whether this processor, if it has bf16, computes a convolution and its gradients faster in it. Some
    take 0.6 of the time, others 1.6 times as long; tried once, on the calling thread alone, for some 30 ms,
    in which waiting does not count: another thread of this process may be busy in Python, as a window is.
    """
    if not torch.cpu._is_avx512_bf16_supported():
        return False
    generator = torch.Generator().manual_seed(0)
    shapes = _TRIED, (_TRIED[1], _TRIED[1], 3, 3)
    x, weight = (torch.randn(shape, generator=generator).requires_grad_() for shape in shapes)
    took: dict[Precision, list[float]] = {"fp32": [], "bf16": []}
    with with_helpers(1), torch.enable_grad():
        for _ in range(_TURNS):  # in turns, so that what is beside slows both
            for precision, costs in took.items():
                costs.append(_cost_of_convolution(x, weight, precision))
    return min(took["bf16"]) < min(took["fp32"])


def _cost_of_convolution(x: torch.Tensor, weight: torch.Tensor, precision: Precision) -> float:
    """There and back; what `_computed` counts."""
    began = _computed()
    with autocast(x.device, precision):
        found = torch.nn.functional.conv2d(x, weight, padding=1)
    torch.autograd.grad(found.sum(), (x, weight))
    return _computed() - began


def _computed() -> float:
    """What the calling thread has computed so far, its waiting left out: seconds; on Windows, which counts
    those in steps of 16 ms, cycles of the processor.
    """
    if sys.platform != "win32":
        return time.thread_time()
    cycles = ctypes.c_ulonglong()
    ctypes.windll.kernel32.QueryThreadCycleTime(ctypes.c_void_p(-2), ctypes.byref(cycles))  # of this thread
    return float(cycles.value)


def sampling_precision(device: torch.device, resolution: int) -> Precision:
    """That in which images of this side are drawn."""
    if device.type == "cpu" and resolution < BF16_FROM:
        return "fp32"
    return choose_precision("auto", device)


def training_format(device: torch.device, precision: Precision, parts: int) -> torch.memory_format:
    """How images lie in memory while training: pixel after pixel, but on a processor that computes batches in
    parts, or in bf16, channel after channel, which is as fast or faster there.
    """
    by_channel = device.type == "cpu" and (parts > 1 or precision == "bf16")
    return torch.contiguous_format if by_channel else torch.channels_last


def device_name(device: torch.device, parts: int = 0) -> str:
    """What a person calls it: "CPU · 2 threads", "NVIDIA H100", "NVIDIA H100 · cuda:1".

    Args:
        parts: into which what it computes is split: "CPU · 4 parts × 2 threads".
    """
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return f"{name} · {device}" if device.index else name
    if device.type == "cpu" and parts > 1:
        helpers = max(1, PROCESSORS // parts)
        return plural(
            "CPU · {parts} parts × {n} thread", "CPU · {parts} parts × {n} threads", helpers, parts=parts
        )
    if device.type == "cpu":
        return plural("CPU · {n} thread", "CPU · {n} threads", PROCESSORS)
    return tr("Apple GPU")

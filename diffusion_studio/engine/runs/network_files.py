"""The weights of a network of diffusers, from files that anybody may have made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from diffusion_studio.core.words import tr
from diffusion_studio.engine.runs.checkpoints import CheckpointError, read_tensors
from diffusion_studio.engine.runs.fitness import check_finite, stored_shapes

N = TypeVar("N", bound=nn.Module)

_RENAMED = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
_WRAPPINGS = ("_orig_mod.", "module.")  # of a compiled network, and of one that was trained in parallel


_OF_AVERAGES = {
    "decay", "min_decay", "optimization_step", "update_after_step", "use_ema_warmup", "inv_gamma", "power",
}  # fmt: skip
"""What diffusers' EMAModel writes into the config of a network."""


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """A library config without its private entries, and those of the average that its weights are."""
    return {
        key: value for key, value in config.items() if not key.startswith("_") and key not in _OF_AVERAGES
    }


def shapes_in(folder: Path, pieces: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """The shapes of all weights in some files, by their present names; no weight is read.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    return {
        _present_name(name): shape for piece in pieces for name, shape in stored_shapes(folder, piece).items()
    }


def filled(planned: N, folder: Path, pieces: tuple[str, ...]) -> N:
    """A network of the meta device with its weights, in float32, each in memory of its own.

    Raises:
        CheckpointError: a file is missing or damaged, or the weights do not fit or are not numbers.
    """
    tensors = {name: t for piece in pieces for name, t in read_tensors(folder, piece).items()}
    check_finite(tensors, folder)
    weights = {_present_name(name): tensor.to(torch.float32, copy=True) for name, tensor in tensors.items()}
    try:
        planned.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise CheckpointError(
            tr("The weights in {folder} do not fit their config.", folder=folder)
        ) from error
    left = [tensor for tensor in (*planned.parameters(), *planned.buffers()) if tensor.is_meta]
    if left:
        raise CheckpointError(
            tr("The weights in {folder} do not fit their config: some are missing.", folder=folder)
        )
    return planned


def _present_name(name: str) -> str:
    """The name of a weight: without what wraps the network, and in attention as since diffusers 0.15."""
    for wrapping in _WRAPPINGS:  # the whole network, or the parts that were compiled
        name = name.removeprefix(wrapping).replace(f".{wrapping}", ".")
    for old, new in _RENAMED.items():
        name = name.replace(old, new) if ".attentions." in name else name
    return name

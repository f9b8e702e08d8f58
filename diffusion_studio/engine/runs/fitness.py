"""Whether a network can be built and called, found out before it takes any memory or time."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.files.reading import (
    MOST_TENSORS,
    NotFetchedError,
    check_fetched,
    inside,
    parsed,
    regular,
)
from diffusion_studio.engine.runs.checkpoints import CheckpointError

if TYPE_CHECKING:
    from diffusers import UNet2DModel

_MOST_HEADER = 100 << 20  # bytes
_LIMITS = {
    "layers_per_block": 64, "in_channels": 64, "out_channels": 128, "sample_size": 4096,
    "num_class_embeds": 10_000_000, "num_train_timesteps": 10_000_000, "norm_num_groups": 65_536,
    "attention_head_dim": 65_536, "time_embedding_dim": 65_536,
}  # fmt: skip
_WEIGHTS = {torch.float32, torch.float16, torch.bfloat16, torch.float64}
_MOST_LEVELS, _WIDEST = 16, 65_536
_called: set[str] = set()
"""Configs, with the sides of their pictures, of networks whose call was followed to its end."""


def check_numbers(config: dict[str, Any]) -> None:
    """Raises CheckpointError where a network's config asks for more than any network has."""
    for name, most in _LIMITS.items():
        values = config.get(name)
        for value in values if isinstance(values, list) else [values]:
            if value is not None and (not _is_whole(value) or not 1 <= value <= most):
                raise CheckpointError(
                    tr(
                        "The network's config is not valid: {name} is {value}; it should be a whole number "
                        "from 1 to {most}.",
                        name=name,
                        value=_short(value),
                        most=most,
                    )
                )
    widths = config.get("block_out_channels", [1])
    levels = len(widths) if isinstance(widths, list) else 0
    if not 1 <= levels <= _MOST_LEVELS or not all(_is_whole(w) and 1 <= w <= _WIDEST for w in widths):
        raise CheckpointError(
            tr(
                "The network's config is not valid: block_out_channels should be up to {most} whole "
                "numbers up to {widest}.",
                most=_MOST_LEVELS,
                widest=_WIDEST,
            )
        )
    shift = config.get("freq_shift", 0)
    if not isinstance(shift, int | float) or not math.isfinite(shift) or not 0 <= shift < widths[0] / 2:
        raise CheckpointError(
            tr(
                "The network's config is not valid: freq_shift is {value}; it should be at least 0 and less "
                "than half of the first width.",
                value=_short(shift),
            )
        )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def stored_shapes(folder: Path, name: str) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor in a safetensors file, by its header alone.

    Raises:
        CheckpointError: it is missing or no such file.
    """
    try:
        path = regular(inside(folder, name), MOST_TENSORS)
        with path.open("rb") as file:
            check_fetched(file.read(64))
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            if length > min(_MOST_HEADER, path.stat().st_size):
                raise Refused(tr("its header is longer than the file"))
            header = parsed(file.read(length))
        entries = {key: entry for key, entry in header.items() if key != "__metadata__"}
        return {key: tuple(int(side) for side in entry["shape"]) for key, entry in entries.items()}
    except OSError as error:
        raise CheckpointError(
            tr(
                "{name} is missing in {folder}: {reason}.",
                name=name,
                folder=folder,
                reason=error.strerror or error,
            )
        ) from None
    except NotFetchedError as error:
        raise CheckpointError(
            tr("{path} cannot be read: {reason}.", path=folder / name, reason=error)
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(
            tr("{path} is damaged: it is not a safetensors file.", path=folder / name)
        ) from None


def check_shapes(network: nn.Module, stored: dict[str, tuple[int, ...]], folder: Path) -> None:
    """Raises CheckpointError where weights do not belong to a network (on the meta device)."""
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    for name in wanted.keys() | stored.keys():
        if wanted.get(name) != stored.get(name):
            how = _difference(name, wanted.get(name), stored.get(name))
            raise CheckpointError(
                tr("The weights in {folder} do not fit their config: {how}.", folder=folder, how=how)
            )


def _difference(name: str, wanted: tuple[int, ...] | None, stored: tuple[int, ...] | None) -> str:
    if wanted is None:
        return tr("{name} belongs to no layer", name=name)
    if stored is None:
        return tr("{name} is missing", name=name)
    return tr(
        "{name} has the shape {found} instead of {wanted}", name=name, found=_by(stored), wanted=_by(wanted)
    )


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or tr("of one number")


def check_call(unet: UNet2DModel, sides: tuple[int, int]) -> None:
    """Raises CheckpointError where a network (on the meta device) fails in its first call.

    Nothing is computed: only shapes are followed, and of one config once, for they hang on nothing else.
    """
    asked = json.dumps([dict(unet.config), sides], sort_keys=True, default=str)
    if asked in _called:
        return
    x = torch.empty(1, int(unet.config.in_channels), *sides, device="meta")
    t = torch.zeros(1, dtype=torch.long, device="meta")
    classed = unet.config.num_class_embeds or unet.config.class_embed_type
    try:
        (found,) = unet(x, t, class_labels=t if classed else None, return_dict=False)
    except Exception as error:  # whatever a layer raises for what does not fit
        raise CheckpointError(
            tr(
                "The network cannot be called: pictures of {sides} pixels do not go through its {levels} "
                "levels.",
                sides=_by(sides),
                levels=len(unet.config.block_out_channels),
            )
        ) from error
    if found.shape[2:] != x.shape[2:]:
        raise CheckpointError(
            tr(
                "The network turns pictures of {sides} pixels into {made}.",
                sides=_by(sides),
                made=_by(tuple(found.shape[2:])),
            )
        )
    _called.add(asked)


def check_finite(tensors: dict[str, Tensor], folder: Path) -> None:
    """Raises CheckpointError where a weight is not a number, or of a kind that only stands for one."""
    for name, tensor in tensors.items():
        if tensor.dtype not in _WEIGHTS:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise CheckpointError(
                tr(
                    "The weights in {folder} are of the kind {kind} (first {name}), which only stands for "
                    "numbers; float32, float16, bfloat16 and float64 are read.",
                    folder=folder,
                    kind=kind,
                    name=name,
                )
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(
                tr(
                    "The weights in {folder} hold values that are not numbers (first {name}): the training "
                    "that made them failed.",
                    folder=folder,
                    name=name,
                )
            )

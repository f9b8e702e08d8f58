"""Models on disk, in diffusers' folder layout: written into checkpoints, read from any such folder.

Only JSON and safetensors are read, and networks are built from their config alone: nothing in a folder is
ever executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from diffusion_studio.core.predictions import PredictionKind
from diffusion_studio.core.schedules import (
    CosineSchedule,
    ExplicitSchedule,
    LinearSchedule,
    ScaledLinearSchedule,
)
from diffusion_studio.core.tables import Tables
from diffusion_studio.engine.checkpoints import CheckpointError, read_json, read_tensors
from diffusion_studio.models.unet import Precision, UNetDenoiser, quiet_diffusers

if TYPE_CHECKING:
    from diffusers import UNet2DModel

UNET_CONFIG = "unet/config.json"
UNET_WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
SCHEDULER_CONFIG = "scheduler/scheduler_config.json"
MODEL_INDEX = "model_index.json"
STUDIO = "studio.json"

_PREDICTIONS: dict[str, PredictionKind] = {"epsilon": "eps", "sample": "x_0", "v_prediction": "v"}


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model that can be sampled, with what is known about it."""

    denoiser: UNetDenoiser
    resolution: int
    channels: int
    classes: int
    class_names: tuple[str, ...]


def pipeline_json(unet_config: Mapping[str, Any], tables: Tables) -> dict[str, Any]:
    """The JSON files that make a folder load in diffusers' `DDPMPipeline`."""
    import diffusers

    version = diffusers.__version__
    return {
        MODEL_INDEX: {
            "_class_name": "DDPMPipeline",
            "_diffusers_version": version,
            "scheduler": ["diffusers", "DDPMScheduler"],
            "unet": ["diffusers", "UNet2DModel"],
        },
        UNET_CONFIG: {"_class_name": "UNet2DModel", "_diffusers_version": version, **_plain(unet_config)},
        SCHEDULER_CONFIG: {
            "_class_name": "DDPMScheduler",
            "_diffusers_version": version,
            "num_train_timesteps": tables.steps,
            "trained_betas": tables.beta[1:].tolist(),
            "prediction_type": "epsilon",
            "variance_type": "fixed_small",
            "clip_sample": True,
            "clip_sample_range": 1.0,
            "timestep_spacing": "trailing",
        },
    }


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """A library config without its private entries."""
    return {key: value for key, value in config.items() if not key.startswith("_")}


def is_pipeline(folder: Path) -> bool:
    """Whether a folder looks like a model in diffusers' layout."""
    return (folder / UNET_CONFIG).is_file() and (folder / SCHEDULER_CONFIG).is_file()


def load_model(folder: Path, device: torch.device, precision: Precision = "fp32") -> LoadedModel:
    """The model in a checkpoint, or in any folder of diffusers' `DDPMPipeline` layout.

    Raises:
        CheckpointError: a file is missing, damaged, or describes a model of another kind.
    """
    config = read_json(folder / UNET_CONFIG)
    tables, kind = read_scheduler(read_json(folder / SCHEDULER_CONFIG))
    studio = read_json(folder / STUDIO) if (folder / STUDIO).is_file() else {}
    unet = unet_from_config(config)
    load_weights(unet, read_tensors(folder / UNET_WEIGHTS), folder)
    classes = int(studio.get("classes", unet.config.num_class_embeds or 0))
    denoiser = UNetDenoiser(tables, prepared(unet, device), classes, kind, precision)
    names = tuple(str(name) for name in studio.get("class_names", range(classes)))
    return LoadedModel(denoiser, _square(unet.config.sample_size), unet.config.in_channels, classes, names)


def prepared(unet: UNet2DModel, device: torch.device) -> UNet2DModel:
    """The network on its device, ready to sample."""
    return unet.to(device=device, memory_format=torch.channels_last).eval().requires_grad_(False)


def unet_from_config(config: Any) -> UNet2DModel:
    """A `UNet2DModel` with fresh weights from its config.

    Raises:
        CheckpointError: not the config of a `UNet2DModel`.
    """
    from diffusers import UNet2DModel

    if not isinstance(config, dict) or config.get("_class_name") != "UNet2DModel":
        name = config.get("_class_name") if isinstance(config, dict) else None
        raise CheckpointError(
            f"Only UNet2DModel networks can be opened; this folder holds {name or 'something else'}."
        )
    try:
        with quiet_diffusers():
            return UNet2DModel(**_plain(config))
    except Exception as error:  # the library raises whatever a wrong value leads to
        raise CheckpointError(f"The network's config is not valid: {error}") from None


def load_weights(unet: UNet2DModel, tensors: dict[str, Tensor], folder: Path) -> None:
    """Puts weights into a network.

    Raises:
        CheckpointError: they do not fit.
    """
    try:
        unet.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"The weights in {folder} do not fit their config: {error}") from None


def read_scheduler(config: Any) -> tuple[Tables, PredictionKind]:
    """The forward process and the prediction of a diffusers scheduler config.

    Raises:
        CheckpointError: a schedule or a prediction that is not known here.
    """
    try:
        prediction = _PREDICTIONS[config.get("prediction_type", "epsilon")]
        return Tables.from_betas(_betas(config)), prediction
    except (KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(f"The scheduler's config is not understood: {error}.") from None
    except ValueError as error:
        raise CheckpointError(f"The scheduler's config is not valid: {error}") from None


def _betas(config: dict[str, Any]) -> Tensor:
    steps = int(config.get("num_train_timesteps", 1000))
    if config.get("trained_betas") is not None:
        return ExplicitSchedule(values=tuple(config["trained_betas"])).betas(steps)
    first, last = float(config.get("beta_start", 1e-4)), float(config.get("beta_end", 0.02))
    scaled = {
        "beta_first": first * steps / 1000,
        "beta_last": last * steps / 1000,
    }  # diffusers does not scale by T
    match config.get("beta_schedule", "linear"):
        case "linear":
            return LinearSchedule(**scaled).betas(steps)
        case "scaled_linear":
            return ScaledLinearSchedule(**scaled).betas(steps)
        case "squaredcos_cap_v2":
            return CosineSchedule().betas(steps)
        case other:
            raise KeyError(f"beta_schedule {other!r}")


def _square(size: Any) -> int:
    """The side of a square network.

    Raises:
        CheckpointError: not square, or unknown.
    """
    sides = set(size) if isinstance(size, list | tuple) else {size}
    if len(sides) != 1 or not isinstance(next(iter(sides)), int):
        raise CheckpointError(f"Only square networks can be opened; this one has the size {size}.")
    return int(next(iter(sides)))

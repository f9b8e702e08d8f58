"""Where the files of a model lie in a folder of diffusers' layout, and what kind of model it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusion_studio.engine.runs.checkpoints import CheckpointError, read_json

MODEL_INDEX = "model_index.json"
_LAYOUTS = (
    ("unet/config.json", "unet/", "scheduler/scheduler_config.json"),
    ("config.json", "", "scheduler_config.json"),
)
"""Config of the network, where its weights lie, config of the scheduler; newer folders first."""
_WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors")
_PICKLES = ("diffusion_pytorch_model.bin", "diffusion_pytorch_model.fp16.bin", "pytorch_model.bin")
_AUTOENCODERS = ("vae", "vqvae", "movq")

# Schedulers of the variance-preserving process that differ only in their steps, which are chosen here anew.
_KNOWN = {
    "DDPMScheduler", "DDIMScheduler", "DDIMInverseScheduler", "DDIMParallelScheduler",
    "DDPMParallelScheduler",
    "PNDMScheduler", "LMSDiscreteScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler",
    "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "DPMSolverSDEScheduler",
    "DEISMultistepScheduler", "UniPCMultistepScheduler", "SASolverScheduler", "IPNDMScheduler",
}  # fmt: skip
_OTHER_PROCESSES = {
    "ScoreSdeVeScheduler": "its noise grows without end (the variance-exploding process)",
    "KarrasVeScheduler": "its noise grows without end (the variance-exploding process)",
    "EDMEulerScheduler": "it is scaled as in EDM",
    "EDMDPMSolverMultistepScheduler": "it is scaled as in EDM",
    "FlowMatchEulerDiscreteScheduler": "it is a flow on the straight path",
    "FlowMatchHeunDiscreteScheduler": "it is a flow on the straight path",
    "FlowMatchLCMScheduler": "it is a flow on the straight path",
    "CMStochasticIterativeScheduler": "it is a consistency model",
    "LCMScheduler": "it is a consistency model",
    "VQDiffusionScheduler": "it is a diffusion of codes",
    "RePaintScheduler": "it fills in parts of pictures",
    "UnCLIPScheduler": "it is conditioned on texts",
}


@dataclass(frozen=True)
class PipelineFolder:
    """The files of one model, by names relative to its folder.

    Args:
        network: the network's config.
        weights: its weights, as safetensors.
        scheduler: the scheduler's config.
    """

    folder: Path
    network: str
    weights: str
    scheduler: str


def is_pipeline(folder: Path) -> bool:
    """Whether a folder looks like a model in diffusers' layout, with sub-folders or all in one."""
    return any(
        (folder / network).is_file() and (folder / scheduler).is_file()
        for network, _, scheduler in _layouts()
    )


def _layouts() -> tuple[tuple[str, str, str], ...]:
    """(config of the network, folder of its weights with a slash, config of the scheduler)"""
    return (
        ("unet/config.json", "unet/", "scheduler/scheduler_config.json"),
        ("config.json", "", "scheduler_config.json"),
    )


def pipeline_in(folder: Path) -> PipelineFolder:
    """The model in a folder.

    Raises:
        CheckpointError: a file is missing, or it is a model of another kind; the sentence says which.
    """
    _check_pictures(folder)
    there = (layout for layout in _LAYOUTS if (folder / layout[0]).is_file())
    network, place, scheduler = next(there, _LAYOUTS[0])
    return PipelineFolder(folder, network, _weights(folder, place), scheduler)


def _weights(folder: Path, place: str) -> str:
    """The name of the weights; the usual one where none is there."""
    for name in _WEIGHTS:
        if (folder / place / name).is_file():
            return f"{place}{name}"
    for name in _PICKLES:
        if (folder / place / name).is_file():
            raise CheckpointError(
                f"The weights in {folder} are only there as {name}, a pickle, which can run code and is "
                "never read. Save them as safetensors (save_pretrained does) and open the folder again."
            )
    return f"{place}{_WEIGHTS[0]}"


def _check_pictures(folder: Path) -> None:
    """Raises CheckpointError where the network's pictures are codes of an autoencoder."""
    named = _index(folder)
    found = next((name for name in _AUTOENCODERS if (folder / name).is_dir() or name in named), "")
    if found:
        raise CheckpointError(
            f"{folder.name} is a model of codes: its pictures come from an autoencoder ({found}), which "
            "cannot be opened here."
        )


def _index(folder: Path) -> dict[str, Any]:
    try:
        content = read_json(folder, MODEL_INDEX) if (folder / MODEL_INDEX).is_file() else {}
    except CheckpointError:
        return {}  # the other files tell enough
    return content if isinstance(content, dict) else {}


def check_process(config: dict[str, Any]) -> None:
    """Raises CheckpointError where a scheduler's config is not of the variance-preserving process."""
    name = config.get("_class_name", "DDPMScheduler")
    reason = _OTHER_PROCESSES.get(str(name), "")
    if name not in _KNOWN or reason:
        because = f": {reason}" if reason else ""
        raise CheckpointError(
            f"The model's scheduler is {name}{because}. Models of the variance-preserving process can be "
            "opened, like those of DDPMScheduler and DDIMScheduler."
        )
    if config.get("use_flow_sigmas"):
        raise CheckpointError(
            f"The model's scheduler is {name} of a flow on the straight path (use_flow_sigmas)."
        )

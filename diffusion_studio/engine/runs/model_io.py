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

from diffusion_studio.core.denoisers.readings import PredictionKind
from diffusion_studio.core.importing import importing
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import COLOURS
from diffusion_studio.engine.runs.checkpoints import STUDIO, CheckpointError, read_json
from diffusion_studio.engine.runs.code_files import code_beside
from diffusion_studio.engine.runs.fitness import check_call, check_numbers, check_shapes
from diffusion_studio.engine.runs.network_files import filled, plain, shapes_in
from diffusion_studio.engine.runs.pipeline_folder import MODEL_INDEX, NETWORK, PipelineFolder, pipeline_in
from diffusion_studio.engine.runs.scheduler_config import clipping_note, prediction_json, read_scheduler
from diffusion_studio.models.code import Code
from diffusion_studio.models.network import NetworkDenoiser
from diffusion_studio.models.time_embedding import remember_times
from diffusion_studio.models.unet import Precision, UNet, padded, quiet_diffusers

if TYPE_CHECKING:
    from diffusers import UNet2DModel

UNET_CONFIG = "unet/config.json"
UNET_WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
SCHEDULER_CONFIG = "scheduler/scheduler_config.json"

_EMBEDDINGS = {  # of a network that asks for more than a time and a class
    "class_embed_type": tr("its classes are vectors that another network makes"),
    "time_embedding_type": tr("its time is that of a continuous process"),
}
_READ = (None, "positional", "learned", "timestep")
MOST_CHANNELS = 4
NUMBERED = 1000  # classes of a network that takes any number for one


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model that can be sampled, with what is known about it."""

    denoiser: NetworkDenoiser[UNet]
    sides: tuple[int, int]  # height and width of its pictures
    channels: int
    classes: int
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()  # sentences about what was assumed
    code: Code | None = None  # of a diffusion of codes: between them and the pictures


def pipeline_json(
    unet_config: Mapping[str, Any], tables: Tables, kind: PredictionKind = "eps", clip: bool = True
) -> dict[str, Any]:
    """The JSON files that make a folder load in diffusers' `DDPMPipeline`.

    A score network is written with the prediction type "score": diffusers has no name for it, since
    ε̂ = −√(1−ᾱ_t) ŝ depends on t, and says so when it is asked to sample. So it does with a network that is
    shown x_t in the coordinates of another process.
    """
    with importing():
        import diffusers

    version = diffusers.__version__
    learned = unet_config["out_channels"] == 2 * unet_config["in_channels"]
    return {
        MODEL_INDEX: {
            "_class_name": "DDPMPipeline",
            "_diffusers_version": version,
            "scheduler": ["diffusers", "DDPMScheduler"],
            "unet": ["diffusers", "UNet2DModel"],
        },
        UNET_CONFIG: {"_class_name": "UNet2DModel", "_diffusers_version": version, **plain(unet_config)},
        SCHEDULER_CONFIG: {
            "_class_name": "DDPMScheduler",
            "_diffusers_version": version,
            "num_train_timesteps": tables.steps,
            "trained_betas": tables.beta[1:].tolist(),
            **prediction_json(tables, kind),
            "variance_type": "learned_range" if learned else "fixed_small",
            "clip_sample": clip,
            "clip_sample_range": 1.0,
            "timestep_spacing": "trailing",
        },
    }


def load_model(folder: Path, device: torch.device, precision: Precision = "fp32") -> LoadedModel:
    """The model in a checkpoint, or in any folder of diffusers' `DDPMPipeline` layout.

    A diffusion of codes has its autoencoder beside it: in the run that a checkpoint lies in, or in `vae/`.
    Everything that can be known without the weights is looked at before they are read.

    Raises:
        CheckpointError: a file is missing, damaged, or describes a model of another kind.
    """
    files = pipeline_in(folder)
    scheduler = _scheduler(files)
    tables, kind = read_scheduler(scheduler)
    planned = planned_unet(read_json(folder, files.network))
    code = code_beside(folder, device)
    stored = shapes_in(folder, files.weights)
    learned = scheduler.get("variance_type") == "learned_range"
    sides, channels = sides_of(planned.config.sample_size), _channels(planned, learned, code, folder)
    check_shapes(planned, stored, folder)
    check_call(planned, _called_with(planned, sides, folder))
    unet = filled(planned, folder, files.weights)
    names = _class_names(folder, unet)
    denoiser = NetworkDenoiser(tables, UNet(prepared(unet, device), len(names), precision), kind)
    notes = _notes(files, scheduler, planned.config, code)
    if code is not None:
        sides, channels = (sides[0] * code.factor, sides[1] * code.factor), code.picture_channels
    return LoadedModel(denoiser, sides, channels, len(names), names, notes, code)


def _scheduler(files: PipelineFolder) -> Any:
    """The scheduler's config; where there is none, that of DDPM as diffusers has it."""
    return {} if files.scheduler is None else read_json(*files.scheduler)


def _notes(
    files: PipelineFolder, scheduler: dict[str, Any], network: Any, code: Code | None
) -> tuple[str, ...]:
    """What a person should know about how the folder was read."""
    found = []
    if files.scheduler is None:
        found.append(tr("No scheduler lies beside this network: linear β as in DDPM, T = 1000, is assumed."))
    elif files.scheduler[0] != files.folder:
        found.append(tr("Its scheduler is the one in {scheduler}.", scheduler=files.scheduler[0]))
    if files.network.startswith("unet_ema/"):
        found.append(tr("Its averaged weights (unet_ema) are used."))
    if not (files.folder / STUDIO).is_file() and code is None:
        found.append(clipping_note(scheduler))
    if code is None and network.in_channels not in COLOURS:
        found.append(
            tr(
                "The {count} channels of its pictures are shown side by side, in grey.",
                count=network.in_channels,
            )
        )
    if network.class_embed_type and not network.num_class_embeds:
        found.append(
            tr("Its classes are any numbers; those up to {most} can be asked for.", most=NUMBERED - 1)
        )
    return tuple(filter(None, found))


def _class_names(folder: Path, unet: UNet2DModel) -> tuple[str, ...]:
    """The classes that can be asked for: by name in a checkpoint of this app, numbered in any other folder.

    Raises:
        CheckpointError: names that the network does not have.
    """
    known = int(unet.config.num_class_embeds or (NUMBERED if unet.config.class_embed_type else 0))
    if not (folder / STUDIO).is_file():
        return tuple(str(number) for number in range(known))
    studio = read_json(folder, STUDIO)
    names = studio.get("class_names") if isinstance(studio, dict) else None
    if isinstance(studio, dict) and not studio.get("classes"):
        names = []  # classes of the data that the network was not told
    if not isinstance(names, list) or len(names) + 1 != max(known, 1):
        raise CheckpointError(
            tr("{path} does not fit the network of {classes} classes.", path=folder / STUDIO, classes=known)
        )
    return tuple(str(name) for name in names)


def _channels(unet: UNet2DModel, learned_variance: bool, code: Code | None, folder: Path) -> int:
    """Channels of the images, or of the codes.

    Raises:
        CheckpointError: the network predicts something else beside that is not known here, or codes of
            another autoencoder.
    """
    taken, given = unet.config.in_channels, unet.config.out_channels
    if learned_variance and given != 2 * taken:
        raise CheckpointError(
            tr(
                "The network takes {taken} channels and gives {given}; as it is said to learn the variance "
                "(variance_type), it must give twice as many as it takes.",
                taken=taken,
                given=given,
            )
        )
    if not learned_variance and given != taken:
        raise CheckpointError(
            tr(
                "The network takes {taken} channels but gives {given}; they must be the same.",
                taken=taken,
                given=given,
            )
        )
    if code is not None and taken != code.channels:
        raise CheckpointError(
            tr(
                "The network's codes have {taken} channels, but those of the autoencoder beside it have "
                "{channels}.",
                taken=taken,
                channels=code.channels,
            )
        )
    if code is None and _of_codes(folder):
        raise CheckpointError(
            tr("The network in {folder} is one of codes, and the code is missing beside it.", folder=folder)
        )
    if code is None and taken > MOST_CHANNELS:
        raise CheckpointError(
            tr(
                "The network's pictures have {taken} channels; up to {most} can be shown.",
                taken=taken,
                most=MOST_CHANNELS,
            )
        )
    return int(taken)


def _called_with(unet: UNet2DModel, sides: tuple[int, int], folder: Path) -> tuple[int, int]:
    """The sides with which the network itself is called: one of this app learned with a margin around."""
    if not (folder / STUDIO).is_file():
        return sides
    levels = len(unet.config.block_out_channels)
    return padded(sides[0], levels), padded(sides[1], levels)


def _of_codes(folder: Path) -> bool:
    """Whether a checkpoint of this app says that its network is one of codes."""
    studio = read_json(folder, STUDIO) if (folder / STUDIO).is_file() else None
    return isinstance(studio, dict) and bool(studio.get("in_a_code"))


def prepared(unet: UNet2DModel, device: torch.device) -> UNet2DModel:
    """The network on its device, ready to sample and no more to be trained."""
    unet = unet.to(device=device, memory_format=torch.channels_last).eval().requires_grad_(False)
    remember_times(unet)
    return unet


def planned_unet(config: Any) -> UNet2DModel:
    """A `UNet2DModel` from its config, on the meta device: it has shapes, and no weights yet.

    Raises:
        CheckpointError: not the config of a `UNet2DModel`.
    """
    with importing():
        from diffusers import UNet2DModel

    if not isinstance(config, dict) or config.get("_class_name") != NETWORK:
        name = config.get("_class_name") if isinstance(config, dict) else None
        raise CheckpointError(
            tr(
                "Only UNet2DModel networks can be opened; this folder holds {found}.",
                found=name or tr("something else"),
            )
        )
    check_numbers(config)
    for name, reason in _EMBEDDINGS.items():
        if config.get(name) not in _READ:
            raise CheckpointError(
                tr(
                    "The network cannot be asked here: {reason} ({name} {value!r}).",
                    reason=reason,
                    name=name,
                    value=config[name],
                )
            )
    try:
        with quiet_diffusers(), torch.device("meta"):  # where torch 2.6 cannot be imported as a whole
            return UNet2DModel(**plain(config))
    except Exception as error:  # the library raises whatever a wrong value leads to
        sentence = tr("The network's config is not valid: no network can be built from it.")
        raise CheckpointError(sentence) from error


def tables_of(folder: Path) -> Tables:
    """The forward process of a model on disk; its weights are not looked at.

    Raises:
        CheckpointError: it cannot be read.
    """
    return read_scheduler(_scheduler(pipeline_in(folder)))[0]


def sides_of(size: Any) -> tuple[int, int]:
    """Height and width of a network's pictures, from the `sample_size` of its config.

    Raises:
        CheckpointError: it does not tell them.
    """
    sides = size if isinstance(size, list | tuple) else (size, size)
    if len(sides) != 2 or not all(isinstance(side, int) for side in sides):
        raise CheckpointError(
            tr("The network's config does not tell the size of its pictures: it is {size}.", size=size)
        )
    return int(sides[0]), int(sides[1])

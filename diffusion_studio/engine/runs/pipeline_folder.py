"""Where the files of a model lie in a folder that diffusers or its training scripts wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusion_studio.core.words import tr
from diffusion_studio.engine.runs.checkpoints import CheckpointError, read_json

MODEL_INDEX = "model_index.json"
SCHEDULER = "scheduler_config.json"
NETWORK = "UNet2DModel"
_CONFIG = "config.json"
_PLACES = ("unet/", "")  # of the network: beside other folders, or all in one
_AVERAGED = "unet_ema/"  # of a checkpoint that accelerate wrote
AUTOENCODERS = ("vae", "vqvae", "movq")  # their folders beside a network of codes
_WEIGHTS = "diffusion_pytorch_model"
_KNOWN_VARIANTS = ("", ".fp16")  # first of several; any other name is a person's own
_PIECE = re.compile(r"-\d+-of-\d+\.safetensors$")
_PICKLES = f"{_WEIGHTS}*.bin", "pytorch_model.bin"


@dataclass(frozen=True)
class PipelineFolder:
    """The files of one model, by names relative to its folder.

    Args:
        network: the network's config.
        weights: its weights, as safetensors; several where they are cut into pieces.
        scheduler: the folder and the name of the scheduler's config; None where nothing tells of one.
    """

    folder: Path
    network: str
    weights: tuple[str, ...]
    scheduler: tuple[Path, str] | None


def is_pipeline(folder: Path) -> bool:
    """Whether a folder looks like a model: a network of the known kind, or one that has a scheduler."""
    place = _network_place(folder)
    if place is None:
        return False
    return bool(place) or (folder / SCHEDULER).is_file() or _is_network(folder)


def _is_network(folder: Path) -> bool:
    """Whether a config.json, which other programs write too, is that of a network."""
    try:
        content = read_json(folder, _CONFIG)
    except CheckpointError:
        return False
    return isinstance(content, dict) and content.get("_class_name") == NETWORK


def _network_place(folder: Path) -> str | None:
    """Where the network's config lies: averaged weights first, in a folder that only goes on training."""
    places = _PLACES if (folder / MODEL_INDEX).is_file() else (_AVERAGED, *_PLACES)
    return next((place for place in places if (folder / place / _CONFIG).is_file()), None)


def pipeline_in(folder: Path) -> PipelineFolder:
    """The model in a folder.

    Raises:
        CheckpointError: a file is missing, or it is a model of another kind; the sentence says which.
    """
    place = _network_place(folder)
    place = _PLACES[0] if place is None else place
    return PipelineFolder(folder, f"{place}{_CONFIG}", weights_in(folder, place), _scheduler(folder))


def _scheduler(folder: Path) -> tuple[Path, str] | None:
    """In the folder; for a checkpoint or a network alone, in one of the two folders around it."""
    beside = f"scheduler/{SCHEDULER}"
    if (folder / SCHEDULER).is_file():
        return folder, SCHEDULER
    if (folder / MODEL_INDEX).is_file() or (folder / "scheduler").is_dir():
        return folder, beside
    home = folder.resolve()
    return next(((around, beside) for around in home.parents[:2] if (around / beside).is_file()), None)


def weights_in(folder: Path, place: str) -> tuple[str, ...]:
    """The names of the weights at a place in a folder, like "unet/"; the usual one where none is there.

    Raises:
        CheckpointError: they are a pickle, or an index that names no files.
    """
    for variant in _variants(folder / place):
        whole = f"{place}{_WEIGHTS}{variant}.safetensors"
        if (folder / whole).is_file():
            return (whole,)
        index = f"{place}{_WEIGHTS}.safetensors.index{variant}.json"
        if (folder / index).is_file():
            return tuple(f"{place}{name}" for name in _pieces(folder, index))
    for pickle in (found for name in _PICKLES for found in sorted((folder / place).glob(name))):
        raise CheckpointError(
            tr(
                "The weights in {folder} are only there as {pickle}, a pickle, which can run code and is "
                "never read. Save them as safetensors (save_pretrained does) and open the folder again.",
                folder=folder,
                pickle=pickle.name,
            )
        )
    return (f"{place}{_WEIGHTS}.safetensors",)


def _variants(place: Path) -> list[str]:
    """The variants of weights that lie in a folder, like ".fp16": those that are known first."""
    names = [path.name for path in place.glob(f"{_WEIGHTS}*") if not _PIECE.search(path.name)]
    whole = re.compile(rf"{_WEIGHTS}(|\.[^.]+)\.safetensors")
    index = re.compile(rf"{_WEIGHTS}\.safetensors\.index(|\.[^.]+)\.json")
    found = {match[1] for name in names for match in (whole.fullmatch(name), index.fullmatch(name)) if match}
    return sorted(found, key=lambda name: (name not in _KNOWN_VARIANTS, name))


def _pieces(folder: Path, index: str) -> list[str]:
    """The files that an index names.

    Raises:
        CheckpointError: it names none.
    """
    content = read_json(folder, index)
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not names or not all(isinstance(n, str) for n in names.values()):
        raise CheckpointError(tr("{path} does not say in which files the weights are.", path=folder / index))
    return sorted(set(names.values()))


def autoencoder_in(folder: Path) -> str | None:
    """Where the autoencoder lies that makes pictures of a network's codes, like "vae/"; None of pixels."""
    named = _index(folder)
    has = [name for name, entry in named.items() if entry != [None, None]]  # what is optional, and absent
    return next((f"{name}/" for name in AUTOENCODERS if (folder / name).is_dir() or name in has), None)


def lacks_network(folder: Path) -> bool:
    """Whether a folder without a network says that it has one of the known kind."""
    entry = _index(folder).get("unet")
    return isinstance(entry, list) and NETWORK in entry


def kind_named(folder: Path) -> str:
    """What a folder without a known network says it holds, like "DiTPipeline"; "" where it is silent."""
    for name in (MODEL_INDEX, _CONFIG):
        try:
            content = read_json(folder, name) if (folder / name).is_file() else {}
        except CheckpointError:
            continue
        kind = content.get("_class_name") if isinstance(content, dict) else None
        if isinstance(kind, str) and kind:
            return kind[:60]
    return ""


def _index(folder: Path) -> dict[str, Any]:
    try:
        content = read_json(folder, MODEL_INDEX) if (folder / MODEL_INDEX).is_file() else {}
    except CheckpointError:
        return {}  # the other files tell enough
    return content if isinstance(content, dict) else {}

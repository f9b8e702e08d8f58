"""A run as a model folder of its own: what samples it, and a card that says what it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.evaluation.evaluation import read_evaluation
from diffusion_studio.engine.evaluation.model_card import ModelFacts, model_card
from diffusion_studio.engine.files.files import to_json, write_synced
from diffusion_studio.engine.files.pictures import MOST_PICTURE
from diffusion_studio.engine.files.reading import MOST_TENSORS, read_inside
from diffusion_studio.engine.runs.checkpoints import STUDIO, checkpoint_step, read_json
from diffusion_studio.engine.runs.code_files import code_beside, exported_code
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.model_io import (
    SCHEDULER_CONFIG,
    UNET_CONFIG,
    UNET_WEIGHTS,
    sides_of,
)
from diffusion_studio.engine.runs.pipeline_folder import MODEL_INDEX
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.models.unet import margins

CARD, PICTURE = "README.md", "samples.png"
_FILES = (MODEL_INDEX, UNET_CONFIG, UNET_WEIGHTS, SCHEDULER_CONFIG, STUDIO)


def _check_known(run: Run[RunConfig]) -> None:
    """Raises Refused where diffusers' pipeline would not sample the model."""
    reading, diffusion = READINGS[run.config.objective.predict], run.config.diffusion
    if not diffusion.tables().preserves:
        raise Refused(
            tr(
                "{run} is shown x_t as the process {process} has it, and the pipeline of diffusers "
                "samples VP alone.",
                run=run.name,
                process=diffusion.forward.title,
            )
        )
    if not reading.in_diffusers:
        raise Refused(
            tr(
                "{run} predicts the {symbol}, for which diffusers has no name: it cannot sample it.",
                run=run.name,
                symbol=reading.symbol,
            )
        )


def export_model(path: Path, folder: Path) -> tuple[str, ...]:
    """Writes the newest sound model of a run into a folder that is not there yet, or is empty.

    Returns:
        Sentences about checkpoints that had to be passed over, and about a margin.

    Raises:
        Refused: no run, no checkpoint, something in the folder, or a model that diffusers cannot sample.
        OSError: the disk is full or not writable; nothing is left then.
    """
    run = Run.open(path)
    _check_known(run)
    folder = folder.absolute()  # also `.` has a name then
    _check_place(folder)
    checkpoint, notes = run.newest_checkpoint()
    temporary = folder.with_name(f".{folder.name}.exporting")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        for name, data in _content(run, checkpoint, folder):
            (temporary / name).parent.mkdir(exist_ok=True)
            write_synced(temporary / name, data)
        if folder.exists():
            folder.rmdir()
        temporary.rename(folder)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and _concerns(error, temporary):
            error.filename = str(folder)
        raise
    return (*notes, *_about_margin(folder))


def _about_margin(folder: Path) -> Iterator[str]:
    """What has to be known of a network that images go through with zeros around them."""
    side, margin = _side_and_margin(read_json(folder, UNET_CONFIG))
    if any(margin):
        yield tr(
            "It needs zeros around its input, from {side} to {inner} a side, which the pipelines of "
            "diffusers do not add: the example in {card} does.",
            side=side,
            inner=side + sum(margin),
            card=CARD,
        )


def _side_and_margin(network: Any) -> tuple[int, tuple[int, int]]:
    """The side of what a network makes, and the zeros before and after it on the way through."""
    sides = sides_of(network["sample_size"])
    return sides[0], margins(sides, len(network["block_out_channels"]))[:2]


def _concerns(error: OSError, draft: Path) -> bool:
    """Whether it is about what is written: a full disk has no name, and what is read keeps its own."""
    return error.filename is None or Path(error.filename).is_relative_to(draft)


def _check_place(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    above = next(parent for parent in folder.parents if parent.exists())
    if not above.is_dir():
        raise Refused(tr("{path} is a file, so there can be no folder {folder}.", path=above, folder=folder))
    if folder.exists():
        raise Refused(
            tr("{folder} is there already, and not an empty folder; name another one.", folder=folder)
        )


def _content(run: Run[Any], checkpoint: Path, folder: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every file."""
    for name in _FILES:
        yield name, read_inside(checkpoint, name, MOST_TENSORS)
    code = code_beside(checkpoint, torch.device("cpu"))
    if code is not None:
        yield MODEL_INDEX, to_json(read_json(checkpoint, MODEL_INDEX) | {"_class_name": "LDMPipeline"})
        yield from exported_code(code).items()
    picture = _newest_picture(run)
    if picture:
        yield PICTURE, picture
    card = model_card(_facts(run, checkpoint, folder, bool(picture)))
    yield CARD, card.encode("utf-8", "backslashreplace")


def _class_names(checkpoint: Path) -> tuple[str, ...]:
    """Those that the network knows."""
    studio = read_json(checkpoint, STUDIO)
    names = studio.get("class_names") if isinstance(studio, dict) and studio.get("classes") else ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _newest_picture(run: Run[Any]) -> bytes:
    """The newest preview; nothing where it is no file inside the run."""
    names = sorted(path.name for path in run.sample_folder.glob("step-*.png"))
    try:
        return read_inside(run.sample_folder, names[-1], MOST_PICTURE)
    except (IndexError, OSError, Refused):
        return b""


def _facts(run: Run[Any], checkpoint: Path, folder: Path, has_picture: bool) -> ModelFacts:
    step, network = checkpoint_step(checkpoint), read_json(checkpoint, UNET_CONFIG)
    measured, (side, margin) = read_evaluation(run), _side_and_margin(network)
    return ModelFacts(
        run.name, folder.name, step, run.config, run.manifest,
        _class_names(checkpoint),
        measured if measured and measured.get("step") == step else None, has_picture,
        (int(network["in_channels"]), side), margin,
    )  # fmt: skip

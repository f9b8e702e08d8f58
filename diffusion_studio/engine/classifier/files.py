"""The classifier of a run on disk: RUN/classifier/ with its weights (safetensors) and what is known of it.

`classifier.json` names its weights and their checksum, and is replaced in one step once they are complete:
whenever a save is interrupted, the classifier from before is still whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from diffusion_studio.core.describe import validated
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.classifier.accuracy import AccuracyCurve
from diffusion_studio.engine.files.files import (
    digest,
    digest_of,
    fsync_folder,
    to_json,
    write_atomically,
    write_synced,
)
from diffusion_studio.engine.files.reading import MOST_TENSORS, inside, json_inside, regular
from diffusion_studio.engine.runs.checkpoints import CheckpointError, read_json, read_tensors
from diffusion_studio.engine.runs.model_io import SCHEDULER_CONFIG
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.runs.scheduler_config import read_scheduler
from diffusion_studio.models.noisy_classifier import NoisyClassifier, TrainedClassifier

FOLDER, CARD = "classifier", "classifier.json"
VERSION = 1
_COMPARED = 9  # times at which two schedules are compared


class ClassifierError(Refused):
    """A classifier that cannot be trained or used; the message says why, for a person."""


class ClassifierCard(BaseModel):
    """What is known about a trained classifier."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    version: int = VERSION
    app: str
    torch: str
    class_names: tuple[str, ...] = Field(min_length=2)
    resolution: int = Field(ge=1, le=4096)
    channels: int = Field(ge=1, le=4)
    width: int = Field(ge=8, le=1024, multiple_of=8)
    steps: int  # T
    alpha_bar: tuple[float, ...]  # at nine times from 1 to T
    data: str  # fingerprint of the images that the run began with
    images: str  # fingerprint of those that the classifier was trained on
    step: int  # of its training
    seconds: float
    held_out: bool  # whether accuracy was measured on images that it was not trained on
    accuracy: AccuracyCurve
    weights: str = ""  # file
    sha256: str = ""  # of that file


@dataclass(frozen=True, eq=False)
class LoadedClassifier:
    """A classifier that can guide a chain, with what is known about it."""

    classifier: TrainedClassifier
    card: ClassifierCard


def fingerprint(tables: Tables) -> tuple[float, ...]:
    """ᾱ at a few times: enough to tell two schedules apart."""
    places = [1 + round(k * (tables.steps - 1) / (_COMPARED - 1)) for k in range(_COMPARED)]
    return tuple(tables.alpha_bar_at(t) for t in places)


def tables_of(run: Run) -> Tables:
    """The forward process of a run's newest checkpoint.

    Raises:
        Refused: it has none that is sound; the message is a sentence for a person.
    """
    config, _ = run.read_newest(lambda checkpoint: read_json(checkpoint, SCHEDULER_CONFIG))
    return read_scheduler(config)[0]


def save_classifier(run: Path, weights: dict[str, Tensor], card: ClassifierCard) -> None:
    """Puts a classifier in the place of the one before.

    Raises:
        OSError: the disk is full or not writable; what was there before is untouched.
    """
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    data = safetensors.torch.save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    )
    sha256 = digest(data)
    path = folder / f"weights-{sha256[:12]}.safetensors"
    write_synced(path, data)
    fsync_folder(folder)
    card = card.model_copy(update={"weights": path.name, "sha256": sha256})
    write_atomically(folder / CARD, to_json(card.model_dump(mode="json")))
    for old in folder.glob("weights-*.safetensors"):
        if old != path:
            old.unlink(missing_ok=True)


def read_card(run: Path) -> ClassifierCard | None:
    """What is known about the classifier of a run, or None where there is none.

    Raises:
        ClassifierError: it cannot be read; the message is a sentence for a person.
    """
    try:
        content = json_inside(run / FOLDER, CARD)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _damaged(run, f"{CARD}: {error.strerror or error}.") from None
    except Refused as error:
        raise _damaged(run, f"{CARD}: {error}.") from None
    version = content.get("version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise ClassifierError(
            tr(
                "The classifier of {run} was written by a newer Diffusion Studio ({version}). Update the "
                "app.",
                run=run.name,
                version=content.get("app"),
            )
        )
    try:
        return validated(ClassifierCard, content)
    except Refused as error:
        raise _damaged(run, f"{CARD}: {error}") from None


def version_of(run: Path) -> str:
    """Changes whenever a run gets another classifier; empty without one."""
    try:
        found = (run / FOLDER / CARD).stat()
    except OSError:
        return ""
    return f"{found.st_mtime_ns}-{found.st_size}"


def load_classifier(run: Run, device: torch.device, tables: Tables | None = None) -> LoadedClassifier | None:
    """The classifier of a run, or None where there is none.

    Args:
        tables: the forward process that it is to guide; that of the newest checkpoint by default.

    Raises:
        Refused: it is damaged, or belongs to other data or another schedule; the message is a sentence
            for a person.
    """
    card = read_card(run.path)
    if card is None:
        return None
    tables = tables or tables_of(run)
    check_fit(card, run, tables)
    network = _network(run.path, card)
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return LoadedClassifier(TrainedClassifier(network, tables, len(card.class_names)), card)


def check_fit(card: ClassifierCard, run: Run, tables: Tables) -> None:
    """Raises ClassifierError when a classifier cannot guide the chains of a run."""
    data = run.config.data
    again = tr("Train it again: diffusion-studio train-classifier {path}.", path=run.path)
    if (card.resolution, card.channels) != (data.side, data.channels):
        sides = f"{card.resolution}×{card.resolution}×{card.channels}"
        raise ClassifierError(
            tr(
                "The classifier of {run} is one of another data set: it takes images of {sides}, and "
                "the run makes {side}×{side}×{channels}. {again}",
                run=run.name,
                sides=sides,
                side=data.side,
                channels=data.channels,
                again=again,
            )
        )
    known = run.manifest.get("fingerprint", card.data)
    if run.manifest and (card.class_names != run.class_names or card.data != known):
        raise ClassifierError(
            tr("The classifier of {run} is one of another data set. {again}", run=run.name, again=again)
        )
    ours, theirs = fingerprint(tables), card.alpha_bar
    alike = len(ours) == len(theirs) and all(abs(a - b) <= 1e-6 for a, b in zip(ours, theirs, strict=True))
    if card.steps != tables.steps or not alike:
        raise ClassifierError(
            tr(
                "The classifier of {run} was trained for another noise schedule. {again}",
                run=run.name,
                again=again,
            )
        )


def _network(run: Path, card: ClassifierCard) -> NoisyClassifier:
    """The network with its weights.

    Raises:
        ClassifierError: a file is missing or damaged.
    """
    path = run / FOLDER / Path(card.weights).name
    try:
        if digest_of(regular(inside(path.parent, path.name), MOST_TENSORS)) != card.sha256:
            raise _damaged(run, tr("{name} was changed: its checksum is wrong.", name=path.name))
        tensors = read_tensors(path.parent, path.name)
        network = NoisyClassifier(card.resolution, card.channels, len(card.class_names), card.width)
        network.load_state_dict(tensors)
    except OSError as error:
        raise _damaged(run, f"{path.name}: {error.strerror or error}.") from None
    except CheckpointError as error:
        raise _damaged(run, str(error)) from None
    except RuntimeError:
        raise _damaged(run, tr("the weights in {name} do not fit.", name=path.name)) from None
    return network


def _damaged(run: Path, what: str) -> ClassifierError:
    return ClassifierError(
        tr(
            "The classifier of {run} is damaged ({reason}); train it again: diffusion-studio "
            "train-classifier {path}.",
            run=run.name,
            reason=what.rstrip("."),
            path=run,
        )
    )

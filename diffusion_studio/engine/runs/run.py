"""A run: the folder on disk that holds one training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Literal

import filelock
import torch
from typing_extensions import TypeVar

import diffusion_studio
from diffusion_studio.core.describe import validated
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.files.file_cache import FileCache
from diffusion_studio.engine.files.files import to_json, write_atomically
from diffusion_studio.engine.files.reading import json_inside
from diffusion_studio.engine.runs.autoencoder_config import AEConfig, HVAEConfig, VAEConfig
from diffusion_studio.engine.runs.checkpoints import (
    STATE,
    STUDIO,
    CheckpointError,
    checkpoint_step,
    list_checkpoints,
    newest_sound,
)
from diffusion_studio.engine.runs.config import PARTS_MEASURED, RunConfig, TrainingConfig, afresh
from diffusion_studio.engine.runs.metrics import MetricsReader

SCHEMA = 1
LOCK = ".lock"
CONFIG = "config.json"
METRICS_LOG = "metrics.jsonl"
STOP = "stop"  # a file in the folder of a run: whoever trains it should save and end
PAUSE = "pause"  # the same: it should save and rest until the file is gone; while it rests there is one
Wish = Literal["stop", "pause", "go on"]
TRIES = 5  # at a checkpoint while a training deletes older ones
MOST_MANIFEST = 256 << 20  # bytes of data.json, which names every image
OWN: tuple[type[TrainingConfig], ...] = (RunConfig, AEConfig, VAEConfig, HVAEConfig)
"""The kinds of training that come with the program; named so that they are there wherever runs are read."""
_CONFIGS, _KINDS, _OURS = FileCache[tuple[TrainingConfig, bool]](), FileCache[str](), FileCache[bool]()


class RunError(Refused):
    """A run folder that cannot be used; the message says why, for a person."""


C = TypeVar("C", bound=TrainingConfig, default=RunConfig)
K = TypeVar("K", bound=TrainingConfig)
V = TypeVar("V")


@dataclass(frozen=True)
class Run(Generic[C]):
    """One training on disk; of a diffusion model, where nothing else is said."""

    path: Path
    config: C
    parts_measured: bool = False  # whether nobody chose the parts of a step: they follow what is faster

    @classmethod
    def open(cls, path: Path) -> Run[RunConfig]:
        """An existing run of a diffusion model.

        Raises:
            RunError: no run there, one of another kind, or its config cannot be read.
        """
        return cls.open_as(path, RunConfig)

    @classmethod
    def open_as(cls, path: Path, kind: type[K]) -> Run[K]:
        """An existing run of a kind, which is given by its config.

        Raises:
            RunError: no run there, one of another kind, or its config cannot be read.
        """
        if not is_run(path):
            raise RunError(tr("{path} is not a run: it holds no config.json.", path=path))
        config, parts_measured = _read(path)
        if not isinstance(config, kind):
            raise RunError(
                tr(
                    "{path} holds a training of the kind {kind}, not {wanted}.",
                    path=path,
                    kind=config.kind,
                    wanted=kind.kind or "autoencoder",
                )
            )
        return Run(path, config, parts_measured)

    @classmethod
    def owning(cls, path: Path) -> Run[RunConfig]:
        """The run that a path stands for: itself, or the one that a checkpoint lies in.

        Raises:
            RunError: none, so that its training images are not known, or its config cannot be read.
        """
        folder = owner_of(path)
        if folder is None:
            raise RunError(
                tr("{name} does not say which images it was trained on: it is of no run.", name=path.name)
            )
        return cls.open(folder)

    @property
    def afresh(self) -> C:
        """Its config for another run."""
        return afresh(self.config, self.parts_measured)

    def config_json(self) -> bytes:
        """The content of config.json."""
        content = {
            "schema": SCHEMA,
            "kind": self.config.kind,
            "app": diffusion_studio.__version__,
            "torch": str(torch.__version__),
            "config": self.config.model_dump(mode="json"),
        }
        return to_json(content | ({PARTS_MEASURED: True} if self.parts_measured else {}))

    def write_config(self) -> None:
        """Writes config.json."""
        write_atomically(self.path / "config.json", self.config_json())

    def update_config(self) -> C:
        """Writes config.json if the run goes on with other parameters than it holds; what it held."""
        before = Run.open_as(self.path, type(self.config)).config
        if before != self.config:
            self.write_config()
        return before

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def checkpoint_folder(self) -> Path:
        return self.path / "checkpoints"

    @property
    def sample_folder(self) -> Path:
        return self.path / "samples"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.sqlite"

    @property
    def metrics_log_path(self) -> Path:
        return self.path / METRICS_LOG

    @cached_property
    def metrics(self) -> MetricsReader:
        return MetricsReader(self.metrics_path)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """data.json: the images used, and what was skipped and why; empty when it cannot be read."""
        try:
            content = json_inside(self.path, "data.json", MOST_MANIFEST)
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    @property
    def class_names(self) -> tuple[str, ...]:
        """As the network of its newest checkpoint knows them by number; of any other those of data.json."""
        names = self._names_of_network() or self.manifest.get("class_names")
        return tuple(map(str, names)) if isinstance(names, list) else ()

    def _names_of_network(self) -> list[Any]:
        """Also where data.json is lost or was changed by hand; empty of one that was told no classes."""
        newest = next(reversed(list_checkpoints(self.checkpoint_folder)), None)
        try:
            studio = json_inside(newest, STUDIO) if newest is not None else None
        except (OSError, Refused):
            return []
        names = studio.get("class_names") if isinstance(studio, dict) and studio.get("classes") else None
        return names if isinstance(names, list) else []

    @property
    def step(self) -> int:
        """Step of the newest checkpoint; 0 before the first."""
        found = list_checkpoints(self.checkpoint_folder)
        return checkpoint_step(found[-1]) if found else 0

    @property
    def trained_seconds(self) -> float:
        """Training time up to the newest checkpoint; 0 when it is not known."""
        found = list_checkpoints(self.checkpoint_folder)
        try:
            seconds = float(json_inside(found[-1], STATE)["counters"]["seconds"])
            return seconds if math.isfinite(seconds) else 0.0
        except (IndexError, OSError, ValueError, KeyError, TypeError, OverflowError):
            return 0.0

    def newest_checkpoint(self) -> tuple[Path, tuple[str, ...]]:
        """The newest sound checkpoint, with a sentence for each newer one that had to be passed over.

        Raises:
            RunError: there is none.
        """
        for _ in range(TRIES):
            seen = list_checkpoints(self.checkpoint_folder)
            path, complaints = newest_sound(self.checkpoint_folder)
            if path is not None:
                return path, complaints
            if list_checkpoints(self.checkpoint_folder) == seen:  # no training saved and deleted meanwhile
                break
        reason = " ".join(complaints) or tr("Nothing was saved yet.")
        raise RunError(tr("{name} has no usable checkpoint. {reason}", name=self.name, reason=reason))

    def read_newest(self, read: Callable[[Path], V]) -> tuple[V, tuple[str, ...]]:
        """What `read` finds in the newest sound checkpoint, and what `newest_checkpoint` says beside it.

        A training that goes on deletes older checkpoints: one that is gone before it was read is passed over.

        Raises:
            RunError: there is none.
            CheckpointError: of `read`, where it is still there.
        """
        path, complaints = self.newest_checkpoint()
        for _ in range(TRIES):
            try:
                return read(path), complaints
            except CheckpointError:
                newer, complaints = self.newest_checkpoint()
                if newer == path:
                    raise
                path = newer
        return read(path), complaints

    def lock(self) -> filelock.BaseFileLock:
        """A lock that one training holds; a killed process loses it by itself."""
        return lock_of(self.path)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(size_of(path) for path in self.path.rglob("*"))


def ask(path: Path, wish: Wish) -> None:
    """Asks whoever trains a run, on whatever machine, to save and to end, to rest, or to go on.

    Raises:
        OSError: its folder cannot be written.
    """
    if wish == "go on":
        (path / PAUSE).unlink(missing_ok=True)
    else:
        (path / (STOP if wish == "stop" else PAUSE)).touch()


def lock_of(path: Path) -> filelock.BaseFileLock:
    """A lock that one training holds; a killed process loses it by itself."""
    # not bound to a thread: a generator may be closed in another one than it began in
    return filelock.FileLock(path / LOCK, timeout=0, thread_local=False)


def size_of(path: Path) -> int:
    """Bytes of a file; 0 for a folder, and for what a training deletes meanwhile."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def read_config(path: Path, name: str = CONFIG) -> TrainingConfig:
    """The config in a run folder, for another run; of any kind, that of a diffusion model where none is said.

    Args:
        name: of its file, where a copy of it lies somewhere else.

    Raises:
        RunError: it cannot be read, or a newer version wrote it.
    """
    return afresh(*_read(path, name))


def _read(path: Path, name: str = CONFIG) -> tuple[TrainingConfig, bool]:
    """The config, and whether the number of parts of a step was measured."""
    return _CONFIGS.of(path / name, lambda: _read_anew(path, name))


def _read_anew(path: Path, name: str) -> tuple[TrainingConfig, bool]:
    file, content = path / name, _written(path, name)
    kinds, kind = kinds_of_training(), content.get("kind", RunConfig.kind)
    if content.get("schema", 0) > SCHEMA or kind not in kinds:
        raise RunError(
            tr(
                "{path} was written by a newer Diffusion Studio ({version}). Update the app.",
                path=path if name == CONFIG else file,
                version=content.get("app"),
            )
        )
    try:
        config = validated(kinds[kind], kinds[kind].completed(content["config"]))
    except Refused as error:
        raise RunError(tr("{file} is not a valid config: {error}", file=file, error=error)) from None
    return config, isinstance(config, RunConfig) and content.get(PARTS_MEASURED) is True


def kinds_of_training() -> dict[str, type[TrainingConfig]]:
    """The config of each kind of training that the program knows, by the name that config.json gives it."""
    return {config.kind: config for config in (*OWN, *_below(TrainingConfig)) if config.kind}


def _below(config: type[TrainingConfig]) -> Iterator[type[TrainingConfig]]:
    for below in config.__subclasses__():
        yield below
        yield from _below(below)


def _written(path: Path, name: str = CONFIG) -> dict[str, Any]:
    """config.json as it was written.

    Raises:
        RunError: it cannot be read, or is none of a run.
    """
    file = path / name
    try:
        content = json_inside(path, name)
    except OSError as error:
        raise RunError(
            tr("{file} cannot be read: {reason}.", file=file, reason=error.strerror or error)
        ) from None
    except Refused as error:
        raise RunError(tr("{file} cannot be read: {error}.", file=file, error=error)) from None
    if not isinstance(content, dict) or "config" not in content or not _is_marked(content):
        raise RunError(tr("{file} cannot be read: it is no config of a run.", file=file))
    return content


def _is_marked(content: dict[str, Any]) -> bool:
    """Whether version and kind, where they are given, are of their types."""
    return isinstance(content.get("schema", 0), int) and isinstance(content.get("kind", ""), str)


def is_run(path: Path) -> bool:
    """Whether a folder is a run: its config.json is ours, or stands beside checkpoints.

    Other programs write files of that name too, beside pictures and beside networks.
    """
    if not (path / CONFIG).is_file():
        return False
    return (path / "checkpoints").is_dir() or _OURS.of(path / CONFIG, lambda: _is_ours(path))


def _is_ours(path: Path) -> bool:
    """Whether a config.json is one that we wrote."""
    try:
        content = json_inside(path, CONFIG)
    except (OSError, Refused):
        return False
    return isinstance(content, dict) and {"schema", "config"} <= content.keys()


def owner_of(path: Path) -> Path | None:
    """The folder of the run that a path stands for, itself or the one that a checkpoint lies in, if any."""
    if is_run(path):
        return path
    run = path.parent.parent  # of RUN/checkpoints/step-00001200
    return run if checkpoint_step(path) >= 0 and is_run(run) else None


def kind_of(path: Path) -> str:
    """The kind of training that a folder holds; "" where that cannot be read."""
    if not is_run(path):
        return ""
    try:
        return _KINDS.of(path / CONFIG, lambda: str(_written(path).get("kind", RunConfig.kind)))
    except RunError:
        return ""


def list_runs(folder: Path, kind: str = "") -> list[Path]:
    """Run folders right inside `folder`, newest first; of one kind, where it is given."""
    if not folder.is_dir():
        return []
    found = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".") and is_run(p)]
    if kind:
        found = [p for p in found if kind_of(p) == kind]
    return sorted(found, key=changed_at, reverse=True)


def changed_at(run: Path) -> float:
    """When its config was written; 0 where it is gone meanwhile."""
    try:
        return (run / "config.json").stat().st_mtime
    except OSError:
        return 0.0

"""A run folder comes into being: whole or not at all, and never for two trainings at once."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import filelock

from diffusion_studio.core.words import tr
from diffusion_studio.engine.files.files import fsync_folder, to_json, write_atomically
from diffusion_studio.engine.runs.code_files import CARD, CODE, CONFIG, WEIGHTS
from diffusion_studio.engine.runs.config import TrainingConfig
from diffusion_studio.engine.runs.run import LOCK, Run, RunError, is_run, lock_of

K = TypeVar("K", bound=TrainingConfig)

_MAKING = ".making-"
_STALE = 24 * 3600.0  # seconds after which what a killed process was making is swept away
_FOLDERS = ("checkpoints", "samples")
_CODE = (CARD, CONFIG, WEIGHTS)  # of a diffusion in a code
_FILES = ("data.json", "config.json")  # in the order in which they are written


class TakenError(RunError):
    """Another run was made in this place."""


@dataclass(frozen=True)
class NewRun:
    """Where a run is to be made, without a name of its own yet.

    Args:
        folder: the folder of runs.
        data: what its images are called.
    """

    folder: Path
    data: str

    @property
    def path(self) -> Path:
        """A name like `2026-11-21_digits` that is free now."""
        safe = "".join(c if c.isalnum() or c in "-_" else "-" for c in self.data).strip("-") or "images"
        stem = f"{datetime.date.today().isoformat()}_{safe[:40]}"
        number, path = 1, self.folder / stem
        while os.path.lexists(path):
            number += 1
            path = self.folder / f"{stem}-{number}"
        return path


def begin_run(
    place: Path | NewRun, config: K, manifest: dict[str, Any], others: Mapping[str, bytes] | None = None,
    parts_measured: bool = False,
) -> Run[K]:  # fmt: skip
    """A new run; of two that are to be named at the same time each gets a name of its own.

    Args:
        others: files that it has beside, by relative path.
        parts_measured: whether nobody chose the number of parts of a step.

    Raises:
        RunError: there is already something else, or the folder cannot be made.
    """
    while isinstance(place, NewRun):
        with contextlib.suppress(TakenError):  # named the same by another process meanwhile
            return create_run(place.path, config, manifest, others, parts_measured)
    return create_run(place, config, manifest, others, parts_measured)


def create_run(
    path: Path, config: K, manifest: dict[str, Any], others: Mapping[str, bytes] | None = None,
    parts_measured: bool = False,
) -> Run[K]:  # fmt: skip
    """A new run folder with its config and the manifest of its images.

    It is made beside its place and renamed. A folder that is there already, empty or left half-made by a
    process that was killed, is filled; its config.json, which makes it a run, comes last.

    Raises:
        TakenError: there is a run already, or one is being made there.
        RunError: there is something else, or the folder cannot be made.
    """
    run = Run(path, config, parts_measured)
    last = zip(_FILES, (to_json(manifest), run.config_json()), strict=True)
    files = {**(others or {}), **dict(last)}
    try:
        if os.path.lexists(path):
            _fill_existing(path, files)
        else:
            _make_beside(path, files)
    except OSError as error:
        raise RunError(
            tr(
                "The run folder {path} cannot be written: {reason}.",
                path=path,
                reason=error.strerror or error,
            )
        ) from None
    return run


def _make_beside(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    draft = path.parent / f"{_MAKING}{uuid.uuid4().hex}"
    try:
        draft.mkdir()
        _fill(draft, files)
        draft.rename(path)
    except OSError:
        if os.path.lexists(path):  # since the rename began
            raise TakenError(tr("{path} was made by another training meanwhile.", path=path)) from None
        raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    fsync_folder(path.parent)


def _fill_existing(path: Path, files: dict[str, bytes]) -> None:
    if not path.is_dir():
        raise RunError(tr("{path} already exists and is not empty. Choose another folder.", path=path))
    _check_free(path)
    with _claimed(path):
        _check_free(path)  # another may have been faster
        _fill(path, files)


def _check_free(path: Path) -> None:
    """
    Raises:
        TakenError: a run.
        RunError: it holds something else than what is left of a run that was never complete.
    """
    if is_run(path):
        raise TakenError(tr("{path} already holds a run. Resume it, or choose another folder.", path=path))
    if not all(_is_leftover(entry) for entry in path.iterdir()):
        raise RunError(tr("{path} already exists and is not empty. Choose another folder.", path=path))


def _is_leftover(entry: Path) -> bool:
    if entry.name in _FOLDERS:
        return entry.is_dir() and not any(entry.iterdir())
    if entry.name == CODE and entry.is_dir():
        return all(any(name in inner.name for name in _CODE) for inner in entry.iterdir())
    drafts = any(entry.name.startswith(f".{name}.") and entry.name.endswith(".tmp") for name in _FILES)
    return entry.name in (LOCK, "data.json") or drafts


@contextlib.contextmanager
def _claimed(path: Path) -> Iterator[None]:
    try:
        with lock_of(path):
            yield
    except filelock.Timeout:
        raise TakenError(tr("{path} is being made by another training.", path=path)) from None


def _fill(folder: Path, files: dict[str, bytes]) -> None:
    for name in _FOLDERS:
        (folder / name).mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        write_atomically(folder / name, content)


def _sweep(folder: Path) -> None:
    """Deletes what killed processes were making there."""
    for path in folder.glob(f"{_MAKING}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE:
                shutil.rmtree(path, ignore_errors=True)

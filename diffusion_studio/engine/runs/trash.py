"""The trash of runs: a folder `.trash` beside them, from which they can be put back."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import filelock

from diffusion_studio.core.words import tr
from diffusion_studio.engine.runs.run import RunError, is_run, lock_of, size_of

TRASH = ".trash"


@dataclass(frozen=True)
class Trashed:
    """A run in the trash."""

    path: Path
    home: Path  # where it goes when it is put back
    size: int  # bytes


def move_to_trash(path: Path) -> Path:
    """Moves a run into the trash beside it; gives the place where it lies now.

    Raises:
        RunError: not a run, or in use.
    """
    if not is_run(path):
        raise RunError(tr("{path} is not a run.", path=path))
    trash = path.parent / TRASH
    number, target = 1, trash / path.name
    while target.exists():
        number += 1
        target = trash / f"{path.name}-{number}"
    try:
        with lock_of(path):
            pass
        trash.mkdir(exist_ok=True)
        return Path(shutil.move(path, target))
    except filelock.Timeout:
        raise RunError(tr("{name} is being trained; stop it first.", name=path.name)) from None
    except OSError as error:
        raise RunError(
            tr("{name} could not be moved: {reason}.", name=path.name, reason=error.strerror or error)
        ) from None


def put_back(trashed: Path, path: Path) -> None:
    """Moves a run from the trash back to where it was.

    Raises:
        RunError: something else lies there now, or it cannot be moved.
    """
    if path.exists():
        raise RunError(tr("{path} exists again; the run stays in {trashed}.", path=path, trashed=trashed))
    try:
        shutil.move(trashed, path)
    except OSError as error:
        raise RunError(
            tr(
                "{trashed} could not be put back: {reason}.",
                trashed=trashed.name,
                reason=error.strerror or error,
            )
        ) from None


def list_trash(folder: Path) -> list[Trashed]:
    """The runs in the trash of a folder of runs, by name."""
    trash = folder / TRASH
    paths = sorted(path for path in trash.iterdir() if is_run(path)) if trash.is_dir() else []
    return [Trashed(p, folder / p.name, sum(size_of(f) for f in p.rglob("*"))) for p in paths]


def delete_for_good(trashed: Path) -> None:
    """Deletes a run that lies in a trash.

    Raises:
        RunError: it lies somewhere else, or cannot be deleted.
    """
    if trashed.parent.name != TRASH or not is_run(trashed):
        raise RunError(tr("{trashed} is not a run in the trash.", trashed=trashed))
    try:
        shutil.rmtree(trashed)
    except OSError as error:
        raise RunError(
            tr(
                "{trashed} could not be deleted: {reason}.",
                trashed=trashed.name,
                reason=error.strerror or error,
            )
        ) from None

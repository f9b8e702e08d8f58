"""What a run takes on the disk, part by part, and what of it can go."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import filelock

from diffusion_studio.core.words import tr, trc
from diffusion_studio.engine.runs.checkpoints import checkpoint_step, list_checkpoints, newest_sound
from diffusion_studio.engine.runs.run import RunError, lock_of, size_of

NEWEST, OLDER, REST = tr("newest checkpoint"), tr("older checkpoints"), tr("everything else")
METRICS, _METRICS = tr("metrics"), ("metrics.sqlite", "metrics.jsonl")
_FOLDERS = {trc("on disk", "samples"): "samples", tr("classifier"): "classifier", tr("code"): "code"}
PARTS = (NEWEST, OLDER, trc("on disk", "samples"), METRICS, tr("classifier"), tr("code"), REST)


def disk_use(run: Path) -> dict[str, int]:
    """Bytes of each of `PARTS`; they sum to all that the run takes."""
    *older, newest = list_checkpoints(run / "checkpoints") or [run / "checkpoints" / "none"]
    found = {part: _size([run / name]) for part, name in _FOLDERS.items()}
    found |= {NEWEST: _size([newest]), OLDER: _size(older)}
    found[METRICS] = sum(size_of(path) for name in _METRICS for path in run.glob(f"{name}*"))
    everything = _size([run])
    return {part: found.get(part, everything - sum(found.values())) for part in PARTS}


def _size(folders: Iterable[Path]) -> int:
    return sum(size_of(path) for folder in folders for path in folder.rglob("*"))


def free_room(run: Path) -> int:
    """Bytes that are free on its disk; 0 where that is not known."""
    try:
        return shutil.disk_usage(run).free
    except OSError:
        return 0


def drop_older(run: Path) -> int:
    """Deletes all checkpoints before the newest sound one; how many bytes that gave.

    Raises:
        RunError: the run is being trained, or has no sound checkpoint.
    """
    folder = run / "checkpoints"
    newest, _ = newest_sound(folder)
    if newest is None:
        raise RunError(tr("{run} has no usable checkpoint, so none is deleted.", run=run.name))
    older = [path for path in list_checkpoints(folder) if checkpoint_step(path) < checkpoint_step(newest)]
    before = _size(older)
    try:
        with lock_of(run):
            for path in older:
                shutil.rmtree(path)
    except filelock.Timeout:
        raise RunError(tr("{run} is being trained; stop it first.", run=run.name)) from None
    except OSError as error:
        raise RunError(
            tr(
                "A checkpoint of {run} could not be deleted: {reason}.",
                run=run.name,
                reason=error.strerror or error,
            )
        ) from None
    return before

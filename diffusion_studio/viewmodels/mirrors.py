"""Runs on other machines, as they are mirrored here."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from pathlib import Path

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.files.files import write_atomically
from diffusion_studio.engine.files.places import cache_dir
from diffusion_studio.engine.machine.remote import Remote, Stop
from diffusion_studio.engine.runs.metrics_log import are_of_one_run, beginning
from diffusion_studio.engine.runs.run import LOCK, METRICS_LOG, PAUSE, STOP

LEFT_OUT = (
    "checkpoints", "classifier", "tensorboard", "code", "metrics.sqlite*", LOCK, PAUSE, STOP,
)  # fmt: skip
"""Of a mirror."""


def mirror_of(remote: Remote) -> Path:
    """Where a run on another machine is mirrored to."""
    key = hashlib.sha256(repr((remote.host, remote.port, remote.path)).encode()).hexdigest()[:12]
    return _mirrors() / key / remote.name


def mirrored_at(place: Path) -> Remote | None:
    """Where the run lies of which this is the mirror, also of an earlier window; None: it is none."""
    if place.parent.parent == _mirrors():
        with contextlib.suppress(OSError, ValueError, Refused):
            return Remote.at(_address(place).read_text("utf-8"))
    return None


def mirror(remote: Remote, cancelled: Stop) -> Path:
    """Brings the mirror of a run up to date. Nothing is left of another run that lay there before.

    Raises:
        Refused: it cannot be reached, is no run, or cannot be written here; the message is a sentence.
        Cancelled: `cancelled()` became true.
    """
    place = mirror_of(remote)
    if mirrored_at(place) != remote:
        with contextlib.suppress(OSError):  # rsync says why
            place.mkdir(parents=True, exist_ok=True)
            write_atomically(_address(place), remote.address.encode())
    before = beginning(place / METRICS_LOG)
    remote.mirror(place, LEFT_OUT, cancelled)
    if not are_of_one_run(before, beginning(place / METRICS_LOG)):
        shutil.rmtree(place, ignore_errors=True)
        remote.mirror(place, LEFT_OUT, cancelled)
    return place


def _mirrors() -> Path:
    return cache_dir() / "mirrors"


def _address(place: Path) -> Path:
    """The file that says where the run lies."""
    return place.parent.with_suffix(".txt")

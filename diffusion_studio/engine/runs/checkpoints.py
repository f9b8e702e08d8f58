"""Checkpoints that are complete or not there: EMA weights in diffusers' layout, and all that resuming needs.

step-00001200/
  model_index.json  unet/  scheduler/   EMA weights; loads in diffusers' DDPMPipeline
  studio.json                           what the model was trained for: classes, prediction
  trainer/                              raw weights, optimizer (safetensors), counters (JSON)
  manifest.json                         size and SHA-256 of every other file, written last
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.files.files import digest, digest_of, fsync_folder, to_json, write_synced
from diffusion_studio.engine.files.reading import MOST_TENSORS, inside, json_inside, read_inside, regular

MANIFEST = "manifest.json"
STUDIO = "studio.json"  # what the network was told of its classes, and what it predicts
STATE = "trainer/state.json"  # counters
_NAME = re.compile(r"step-(\d{8,})")
_TEMPORARY = ".saving-"


class CheckpointError(Refused):
    """A checkpoint that cannot be used; the message says why, for a person."""


@dataclass(frozen=True, eq=False)
class CheckpointContent:
    """All files of a checkpoint but its manifest, by relative path."""

    json: Mapping[str, Any]
    tensors: Mapping[str, Mapping[str, Tensor]]

    @property
    def is_finite(self) -> bool:
        """Whether every number in the tensors is one."""
        found: dict[torch.device, list[Tensor]] = {}
        for tensors in self.tensors.values():
            for tensor in tensors.values():
                found.setdefault(tensor.device, []).append(torch.isfinite(tensor.detach()).all())
        return all(bool(torch.stack(flags).all()) for flags in found.values())

    def files(self) -> Iterable[tuple[str, bytes]]:
        """(relative path, content) of every file, one at a time."""
        for name, value in self.json.items():
            yield name, to_json(value)
        for name, tensors in self.tensors.items():
            plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
            yield name, safetensors.torch.save(plain, {"format": "pt"})


def save_checkpoint(folder: Path, step: int, content: CheckpointContent) -> Path:
    """Writes `folder/step-NNNNNNNN`; until it is complete it lies under another name.

    Raises:
        OSError: the disk is full or not writable; what was there before is untouched.
    """
    place = folder / f"step-{step:08d}"
    if place.exists() and not problem_with(place):
        return place
    temporary = folder / f"{_TEMPORARY}{place.name}-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        _write_files(temporary, step, content)
        if place.exists():
            place.rename(temporary.with_suffix(".replaced"))
        temporary.rename(place)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    fsync_folder(folder)
    return place


def _write_files(temporary: Path, step: int, content: CheckpointContent) -> None:
    temporary.parent.mkdir(exist_ok=True)  # no parents: a run that was deleted meanwhile stays so
    temporary.mkdir()
    manifest: dict[str, dict[str, Any]] = {}
    for name, data in content.files():
        path = temporary / name
        path.parent.mkdir(exist_ok=True)
        write_synced(path, data)
        manifest[name] = {"size": len(data), "sha256": digest(data)}
    for sub in {path.parent for path in temporary.rglob("*") if path.is_file()}:
        fsync_folder(sub)
    write_synced(temporary / MANIFEST, to_json({"step": step, "files": manifest}))
    fsync_folder(temporary)


def checkpoint_step(path: Path) -> int:
    """The step in a checkpoint's name; −1 for any other folder."""
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else -1


def list_checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first (not yet verified)."""
    if not folder.is_dir():
        return []
    found = [p for p in folder.iterdir() if checkpoint_step(p) >= 0 and p.is_dir()]
    return sorted(found, key=checkpoint_step)


def problem_with(path: Path) -> str:
    """What is wrong with a checkpoint, as a sentence; empty when every file is as it was written."""
    try:
        files = json_inside(path, MANIFEST)["files"]
        if not files:
            return tr("{name}/{manifest} lists nothing.", name=path.name, manifest=MANIFEST)
        found = (
            _problem_of_file(path, name, entry["size"], entry["sha256"]) for name, entry in files.items()
        )
        return next(filter(None, found), "")
    except FileNotFoundError as error:
        return tr("{name} is incomplete: {reason}.", name=path.name, reason=error.strerror)
    except OSError as error:
        return tr(
            "{name}/{manifest} cannot be read: {reason}.",
            name=path.name,
            manifest=MANIFEST,
            reason=error.strerror or error,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return tr("{name}/{manifest} cannot be read.", name=path.name, manifest=MANIFEST)


def _problem_of_file(path: Path, name: str, size: int, sha256: str) -> str:
    """What is wrong with one file of a checkpoint.

    Raises:
        FileNotFoundError: it is not there.
    """
    try:
        file = regular(inside(path, name), MOST_TENSORS)
        found = file.stat().st_size
        if found != size:
            return tr(
                "{name}/{file} has {found} bytes instead of {size}.",
                name=path.name,
                file=name,
                found=found,
                size=size,
            )
        if digest_of(file) != sha256:
            return tr(
                "{name}/{file} was changed or damaged: its checksum is wrong.", name=path.name, file=name
            )
    except FileNotFoundError:
        raise
    except OSError as error:
        return tr(
            "{name}/{file} cannot be read: {reason}.",
            name=path.name,
            file=name,
            reason=error.strerror or error,
        )
    return ""


def newest_sound(folder: Path, after: int = -1) -> tuple[Path | None, tuple[str, ...]]:
    """The newest checkpoint that verifies, and a sentence for each newer one that does not.

    Args:
        after: only checkpoints of later steps are looked at.
    """
    complaints: list[str] = []
    for path in reversed(list_checkpoints(folder)):
        if checkpoint_step(path) <= after:
            break
        problem = problem_with(path)
        if not problem:
            return path, tuple(complaints)
        if path.exists():  # not deleted by a training meanwhile
            complaints.append(problem)
    return None, tuple(complaints)


def prune(folder: Path, keep: int, step: int) -> None:
    """Deletes all but the newest `keep` checkpoints, and what an interrupted save left behind.

    Args:
        step: of the checkpoint just saved; damaged ones of later steps, which were passed over, go too.
    """
    found = list_checkpoints(folder)
    old = [path for path in found if checkpoint_step(path) <= step][:-keep]
    damaged = [path for path in found if checkpoint_step(path) > step and problem_with(path)]
    for path in old + damaged:
        shutil.rmtree(path, ignore_errors=True)
    remove_leftovers(folder)


def remove_leftovers(folder: Path) -> None:
    """Deletes unfinished checkpoints of an interrupted save."""
    for path in folder.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(path, ignore_errors=True)


def read_checkpoint(path: Path) -> CheckpointContent:
    """Everything in a checkpoint, as it was given to `save_checkpoint`.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    names = read_json(path, MANIFEST)["files"]
    return CheckpointContent(
        {name: read_json(path, name) for name in names if name.endswith(".json")},
        {name: read_tensors(path, name) for name in names if name.endswith(".safetensors")},
    )


def read_json(folder: Path, name: str) -> Any:
    """A JSON file of a checkpoint.

    Raises:
        CheckpointError: it is missing or unreadable.
    """
    try:
        return json_inside(folder, name)
    except OSError as error:
        raise _unreadable(folder, name, error) from None
    except Refused as error:
        raise CheckpointError(
            tr("{path} cannot be read: {reason}.", path=folder / name, reason=error)
        ) from None


def read_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """A safetensors file, read as bytes.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(read_inside(folder, name, MOST_TENSORS))
        return tensors
    except OSError as error:
        raise _unreadable(folder, name, error) from None
    except Exception as error:  # the library raises several kinds for damaged bytes
        raise CheckpointError(tr("{path} is damaged.", path=folder / name)) from error


def _unreadable(folder: Path, name: str, error: OSError) -> CheckpointError:
    path, reason = folder / name, error.strerror or error
    if isinstance(error, FileNotFoundError):
        return CheckpointError(
            tr("{name} is missing in {folder}: {reason}.", name=path.name, folder=path.parent, reason=reason)
        )
    return CheckpointError(tr("{path} cannot be read: {reason}.", path=path, reason=reason))

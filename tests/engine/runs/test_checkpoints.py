"""A checkpoint is complete or not there; damage is noticed, and the one before serves."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from diffusion_studio.engine.files import files
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.runs import checkpoints
from diffusion_studio.engine.runs.checkpoints import (
    CheckpointContent,
    CheckpointError,
    checkpoint_step,
    list_checkpoints,
    newest_sound,
    problem_with,
    prune,
    read_json,
    read_tensors,
    remove_leftovers,
    save_checkpoint,
)
from support import hostile
from support.tiny import begin, differing, everything, finish, only, resume, tiny_config, with_training


def content(number: int) -> CheckpointContent:
    value = float(number)
    tensors = {"w": torch.full((3, 2), value), "step": torch.tensor(value)}
    return CheckpointContent(
        json={"model_index.json": {"name": "blüte"}, "trainer/state.json": {"value": value}},
        tensors={"unet/model.safetensors": tensors, "trainer/raw.safetensors": tensors},
    )


def value_of(path: Path) -> float:
    assert problem_with(path) == ""
    tensors = [read_tensors(path, name) for name in ("unet/model.safetensors", "trainer/raw.safetensors")]
    values = {float(t["w"].mean()) for t in tensors} | {read_json(path, "trainer/state.json")["value"]}
    assert len(values) == 1
    return values.pop()


class Died(BaseException):
    """The process is gone: nothing after this runs, not even cleaning up."""


CALLS = [
    (files.os, "fsync"),
    (files.os, "open"),
    (Path, "rename"),
    (Path, "mkdir"),
    (Path, "open"),
    (checkpoints, "write_synced"),
    (checkpoints, "fsync_folder"),
    (shutil, "rmtree"),
]
NAMES = [f"{getattr(owner, '__name__', owner)}.{name}" for owner, name in CALLS]


def _closed(opened: Any) -> None:
    """What the interrupted call opened is not left open in the test's own process."""
    if isinstance(opened, int):
        os.close(opened)
    elif hasattr(opened, "close"):
        opened.close()


class Interrupted:
    """Raises at the k-th of all calls that touch the disk, before or after it acts."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, error: BaseException, act_first: bool) -> None:
        self.count = 0
        self.at, self.error, self.act_first = at, error, act_first
        self.dead = False
        for owner, name in CALLS:
            patch.setattr(owner, name, self._wrapped(getattr(owner, name)))

    def _wrapped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.dead and isinstance(self.error, Died):
                raise self.error  # a dead process does nothing more
            self.count += 1
            if self.count != self.at:
                return original(*args, **kwargs)
            self.dead = True
            if self.act_first:
                _closed(original(*args, **kwargs))
            raise self.error

        return call


def interruptions(
    error: Callable[[], BaseException], act_first: bool, save: Callable[[], None]
) -> Iterator[int]:
    """Runs `save` again and again, broken off at the first, second, … call, until it gets through."""
    for at in range(1, 500):
        with pytest.MonkeyPatch.context() as patch:
            interrupted = Interrupted(patch, at, error(), act_first)
            try:
                save()
            except (OSError, Died):
                assert interrupted.count >= at
            if interrupted.count < at:
                return
        yield at
    raise AssertionError("never got through")


def no_space() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("act_first", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [Died, no_space], ids=["killed", "disk full"])
def test_that_a_save_broken_off_anywhere_leaves_the_one_before(
    error: Callable[[], BaseException], act_first: bool, tmp_path: Path
) -> None:
    place = tmp_path / "checkpoints"
    save_checkpoint(place, 1, content(1))

    def save() -> None:
        shutil.copytree(place / "step-00000001", tmp_path / "spare", dirs_exist_ok=True)
        save_checkpoint(place, 2, content(2))
        prune(place, 1, 2)

    breaks = 0
    for _ in interruptions(error, act_first, save):
        breaks += 1
        newest, complaints = newest_sound(place)
        assert newest is not None
        assert complaints == ()
        assert value_of(newest) == checkpoint_step(newest)
        assert all(value_of(path) == checkpoint_step(path) for path in list_checkpoints(place)[-1:])
        remove_leftovers(place)
        assert {path.name for path in place.iterdir()} <= {"step-00000001", "step-00000002"}
        shutil.rmtree(place / "step-00000002", ignore_errors=True)
        shutil.copytree(tmp_path / "spare", place / "step-00000001", dirs_exist_ok=True)
    assert breaks > 20
    assert [path.name for path in list_checkpoints(place)] == ["step-00000002"]


def test_that_a_full_disk_leaves_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, 1, content(1))
    write = checkpoints.write_synced

    def fail(path: Path, data: bytes) -> None:
        write(path, data[: len(data) // 2])
        raise no_space()

    monkeypatch.setattr(checkpoints, "write_synced", fail)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path, 2, content(2))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "c", 3, content(3))
    return save_checkpoint(tmp_path / "c", 10, content(10))


FILES = ["model_index.json", "trainer/state.json", "unet/model.safetensors", "trainer/raw.safetensors"]


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", [truncated, flipped, longer, Path.unlink, folder_instead])
def test_that_damage_to_any_file_is_noticed(damage: Callable[[Path], None], file: str, saved: Path) -> None:
    damage(saved / file)
    problem = problem_with(saved)
    assert problem.startswith("step-00000010")
    assert problem.endswith(".")
    assert newest_sound(saved.parent) == (saved.parent / "step-00000003", (problem,))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"files": 3}', '{"files": {}}', '{"files": {"model_index.json": 3}}',
     '{"files": {"model_index.json": {"size": 1}}}', "\xff\xfe"],
)  # fmt: skip
def test_that_a_damaged_manifest_is_noticed(text: str, saved: Path) -> None:
    (saved / "manifest.json").write_bytes(text.encode("latin-1"))
    assert problem_with(saved).endswith(".")
    assert newest_sound(saved.parent)[0] == saved.parent / "step-00000003"


def test_that_a_folder_without_a_manifest_is_incomplete(saved: Path) -> None:
    (saved / "manifest.json").unlink()
    assert problem_with(saved) == "step-00000010 is incomplete: No such file or directory."


def test_that_nothing_is_found_where_nothing_is_sound(saved: Path) -> None:
    for path in list_checkpoints(saved.parent):
        flipped(path / "model_index.json")
    newest, complaints = newest_sound(saved.parent)
    assert newest is None
    assert [complaint[:13] for complaint in complaints] == ["step-00000010", "step-00000003"]
    assert newest_sound(saved.parent / "nowhere") == (None, ())


def test_that_the_manifest_lists_every_other_file(saved: Path) -> None:
    listed = json.loads((saved / "manifest.json").read_text())["files"]
    there = {p.relative_to(saved).as_posix() for p in saved.rglob("*") if p.is_file()}
    assert set(listed) == there - {"manifest.json"}


def test_that_other_folders_are_no_checkpoints(tmp_path: Path) -> None:
    for name in ("step-1", "step-00000001.old", ".saving-step-00000001-7", "step-0000000x"):
        (tmp_path / name).mkdir()
    (tmp_path / "step-00000009").write_text("a file")
    assert list_checkpoints(tmp_path) == []
    remove_leftovers(tmp_path)
    assert not (tmp_path / ".saving-step-00000001-7").exists()


def test_that_checkpoints_stand_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for step in (100_000_000, 5, 99_999_999):
        save_checkpoint(tmp_path, step, content(step))
    assert [checkpoint_step(path) for path in list_checkpoints(tmp_path)] == [5, 99_999_999, 100_000_000]


@pytest.mark.parametrize("keep", [1, 2, 3, 10])
def test_that_pruning_keeps_the_newest(keep: int, tmp_path: Path) -> None:
    for step in range(1, 6):
        save_checkpoint(tmp_path, step, content(step))
    prune(tmp_path, keep, 5)
    assert [checkpoint_step(path) for path in list_checkpoints(tmp_path)] == [1, 2, 3, 4, 5][-keep:]


def test_that_a_damaged_later_one_never_counts_among_those_kept(tmp_path: Path) -> None:
    for step in (4, 8, 12):
        save_checkpoint(tmp_path, step, content(step))
    flipped(tmp_path / "step-00000012" / "model_index.json")
    save_checkpoint(tmp_path, 9, content(9))
    prune(tmp_path, 1, 9)
    assert [checkpoint_step(path) for path in list_checkpoints(tmp_path)] == [9]


def test_that_saving_a_step_twice_keeps_the_first(tmp_path: Path) -> None:
    first = save_checkpoint(tmp_path, 5, content(5))
    assert save_checkpoint(tmp_path, 5, content(6)) == first
    assert value_of(first) == 5


def test_that_saving_over_a_damaged_one_replaces_it(tmp_path: Path) -> None:
    first = save_checkpoint(tmp_path, 5, content(5))
    (first / "model_index.json").unlink()
    save_checkpoint(tmp_path, 5, content(6))
    assert value_of(first) == 6
    prune(tmp_path, 3, 5)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"]


def test_that_reading_what_is_not_there_is_said_in_a_sentence(saved: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing\.json is missing in .*\."):
        read_json(saved, "nothing.json")
    with pytest.raises(CheckpointError, match=r"nothing is missing in .*\."):
        read_tensors(saved, "nothing")
    truncated(saved / "trainer/raw.safetensors")
    with pytest.raises(CheckpointError, match="is damaged"):
        read_tensors(saved, "trainer/raw.safetensors")
    (saved / "bad.json").write_text("{")
    with pytest.raises(CheckpointError, match="is not valid JSON"):
        read_json(saved, "bad.json")


@pytest.mark.parametrize("kind", hostile.KINDS)
@pytest.mark.parametrize("file", ["manifest.json", "model_index.json", "trainer/raw.safetensors"])
def test_that_only_a_regular_file_of_its_own_is_opened(file: str, kind: str, saved: Path) -> None:
    hostile.put(saved / file, kind)
    problem = problem_with(saved)
    assert problem.startswith("step-00000010") and problem.endswith(".")
    assert newest_sound(saved.parent)[0] == saved.parent / "step-00000003"
    read = read_tensors if file.endswith("tensors") else read_json
    with pytest.raises(CheckpointError, match=r"cannot be read: .*\.|is damaged"):
        read(saved, file)


@pytest.mark.parametrize("name", ["../../secret.json", "ABSOLUTE"])
def test_that_a_manifest_names_nothing_outside(name: str, saved: Path) -> None:
    secret = saved.parents[1] / "secret.json"
    secret.write_bytes(b"1")
    name = name.replace("ABSOLUTE", str(secret))
    entry = {"size": 1, "sha256": hashlib.sha256(b"1").hexdigest()}
    (saved / "manifest.json").write_text(json.dumps({"step": 10, "files": {name: entry}}))
    assert problem_with(saved).endswith("cannot be read: it leads out of its folder.")


def test_that_a_pickle_is_never_read(saved: Path) -> None:
    torch.save({"w": torch.zeros(2)}, saved / "weights.safetensors")
    with pytest.raises(CheckpointError, match="is damaged"):
        read_tensors(saved, "weights.safetensors")


def test_that_weights_do_not_follow_their_file(saved: Path) -> None:
    path = saved / "unet/model.safetensors"
    tensors = read_tensors(path.parent, path.name)
    data = path.read_bytes()
    with path.open("r+b") as file:
        file.write(b"\0" * len(data))
    assert float(tensors["w"].mean()) == 10


# In a training


@pytest.mark.parametrize("reason", [no_space(), PermissionError(errno.EACCES, "Permission denied")])
def test_that_training_goes_on_while_nothing_can_be_saved(
    reason: OSError, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(pictures, steps=12, checkpoint_every=2)
    session = begin(tmp_path / "run", config)
    write = checkpoints.write_synced

    def sometimes(path: Path, data: bytes) -> None:
        if 4 <= session.counters.step <= 9:
            raise reason
        write(path, data)

    monkeypatch.setattr(checkpoints, "write_synced", sometimes)
    told = []
    for event in _training(session):
        told.append(event)
        if session.counters.step == 9:
            assert (
                newest_sound(session.run.checkpoint_folder)[0]
                == session.run.checkpoint_folder / "step-00000002"
            )
    assert [event.step for event in only(told, events.Saved)] == [2, 10, 12]
    warned = only(told, events.Warned)
    assert [event.step for event in warned] == [4, 6, 8], "said at every attempt, while it holds"
    assert all((reason.strerror or "?") in event.message for event in warned)
    assert all("The checkpoint of step 2 is kept." in event.message for event in warned)
    assert told[-1].outcome == "done"
    assert [p.name for p in session.run.checkpoint_folder.iterdir() if p.name.startswith(".")] == []


def _training(session: Any) -> Iterator[Any]:
    from diffusion_studio.engine.jobs.control import Control
    from diffusion_studio.engine.training.trainer import train

    return train(session, Control())


def test_that_what_a_crash_left_behind_is_cleared_away(pictures: Path, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures))
    rubbish = session.run.checkpoint_folder / ".saving-step-00000002-1"
    (rubbish / "unet").mkdir(parents=True)
    finish(session)
    assert not rubbish.exists()


@pytest.mark.parametrize("keep", [1, 2])
def test_that_only_as_many_checkpoints_as_asked_for_are_kept(
    keep: int, pictures: Path, tmp_path: Path
) -> None:
    session = begin(
        tmp_path / "run", tiny_config(pictures, steps=5, checkpoint_every=1, keep_checkpoints=keep)
    )
    finish(session)
    assert [checkpoint_step(p) for p in list_checkpoints(session.run.checkpoint_folder)] == [3, 4, 5][-keep:]


@pytest.mark.parametrize("damage", [truncated, flipped, Path.unlink])
def test_that_every_file_of_a_real_checkpoint_is_watched(
    damage: Callable[[Path], None], pictures: Path, tmp_path: Path
) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures, steps=2, checkpoint_every=1))
    finish(session)
    before, newest = list_checkpoints(session.run.checkpoint_folder)
    shutil.copytree(newest, tmp_path / "spare")
    paths = [p.relative_to(newest) for p in newest.rglob("*") if p.is_file()]
    assert len(paths) == 9
    for path in paths:
        damage(newest / path)
        found, complaints = session.run.newest_checkpoint()
        assert found == before
        assert len(complaints) == 1
        shutil.rmtree(newest)
        shutil.copytree(tmp_path / "spare", newest)
    assert session.run.newest_checkpoint() == (newest, ())


def test_that_a_training_goes_back_over_a_damaged_checkpoint_and_keeps_the_new_one(
    pictures: Path, tmp_path: Path
) -> None:
    config = tiny_config(pictures, steps=4, checkpoint_every=2, keep_checkpoints=2)
    whole = begin(tmp_path / "run", config)
    finish(whole)
    flipped(whole.run.checkpoint_folder / "step-00000004" / "trainer" / "optimizer.safetensors")
    again = resume(tmp_path / "run")
    assert again.counters.step == 2
    assert any("step-00000004" in note and "checksum" in note for note in again.notes)
    finish(again)
    assert differing(everything(whole), everything(again)) == []
    assert resume(tmp_path / "run").notes == ()
    assert resume(tmp_path / "run").counters.step == 4


def test_that_a_session_overtaken_by_another_does_not_train(pictures: Path, tmp_path: Path) -> None:
    finish(begin(tmp_path / "run", tiny_config(pictures, steps=2)))
    config = resume(tmp_path / "run").config
    late = resume(tmp_path / "run", with_training(config, steps=4))
    finish(resume(tmp_path / "run", with_training(config, steps=4)))
    (told,) = finish(late)[-1:]
    assert (told.outcome, late.counters.step) == ("failed", 2)
    assert "step-00000004 meanwhile; open it again." in told.message

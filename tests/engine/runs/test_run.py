"""The run folder: made, opened, listed, locked, thrown away; every bad case is a sentence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import filelock
import pytest

from diffusion_studio.core.describe import with_value
from diffusion_studio.core.process.schedules import Schedule
from diffusion_studio.data.errors import DataError
from diffusion_studio.engine.files import files
from diffusion_studio.engine.runs import run
from diffusion_studio.engine.runs.config import RunConfig, TrainingConfig
from diffusion_studio.engine.runs.creation import create_run
from diffusion_studio.engine.runs.run import (
    Run,
    RunError,
    is_run,
    list_runs,
    read_config,
)
from diffusion_studio.engine.runs.trash import delete_for_good, list_trash, move_to_trash, put_back
from support import hostile
from support.families import ready
from support.tiny import begin, finish, resume, tiny_config, write_pictures

MANIFEST = {"source": "zoo", "class_names": ["ape", "bee"], "images": []}


def made(path: Path, config: RunConfig | None = None) -> Run:
    return create_run(path, config or tiny_config(), MANIFEST)


@pytest.mark.parametrize("kind", ready(Schedule))
def test_that_a_config_comes_back_as_it_was(kind: str, tmp_path: Path) -> None:
    config = with_value(tiny_config("/data/山水", seed=2**31 - 1), "diffusion.schedule.kind", kind)
    made(tmp_path / "run", config)
    opened = Run.open(tmp_path / "run")
    assert opened.config == config
    assert opened.class_names == ("ape", "bee")
    assert json.loads((tmp_path / "run" / "data.json").read_text()) == MANIFEST


def test_that_a_config_says_who_wrote_it(tmp_path: Path) -> None:
    made(tmp_path / "run")
    content = json.loads((tmp_path / "run" / "config.json").read_text())
    assert content.keys() == {"schema", "kind", "app", "torch", "config"}
    assert content["schema"] == run.SCHEMA


def test_that_a_new_run_is_empty(tmp_path: Path) -> None:
    empty = made(tmp_path / "deep" / "er" / "run")
    assert (empty.step, empty.name, empty.trained_seconds) == (0, "run", 0)
    assert len(empty.metrics.losses().steps) == 0
    with pytest.raises(RunError, match=r"run has no usable checkpoint\. Nothing was saved yet\."):
        empty.newest_checkpoint()


def test_that_an_empty_folder_may_become_a_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    made(tmp_path / "run")
    assert is_run(tmp_path / "run")


def test_that_nothing_is_overwritten(tmp_path: Path) -> None:
    made(tmp_path / "run")
    with pytest.raises(RunError, match=r"already holds a run\. Resume it, or choose another folder\."):
        made(tmp_path / "run", tiny_config(seed=9))
    assert Run.open(tmp_path / "run").config.seed == 0
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("full", "file"):
        with pytest.raises(RunError, match=r"already exists and is not empty\."):
            made(tmp_path / name)
    assert (tmp_path / "file").read_text() == (tmp_path / "full" / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize("call", ["mkdir", "open", "replace"])
def test_that_a_folder_that_cannot_be_written_is_said(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, call, refuse)
    with pytest.raises(RunError, match=r"The run folder .* cannot be written: Permission denied\."):
        made(tmp_path / "run")
    monkeypatch.undo()
    assert not is_run(tmp_path / "run")


def test_that_a_folder_under_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        made(tmp_path / "file" / "run")


BAD_CONFIGS = {
    "": "cannot be read",
    "{": "cannot be read",
    "[]": "cannot be read",
    "null": "cannot be read",
    "{}": "cannot be read",
    '{"config": 3}': "is not a valid config",
    '{"schema": "two", "config": {}}': "cannot be read",
    '{"config": {"seed": -1}}': "is not a valid config: seed",
    '{"config": {"sead": 1}}': "is not a valid config: sead",
    '{"config": {"training": {"batch_size": -1}}}': "is not a valid config: training.batch_size",
    '{"config": {"diffusion": {"schedule": {"kind": "magic"}}}}': "is not a valid config: diffusion.schedule",
    '{"config": {"training": {"learning_rate": NaN}}}': "is not a valid config",
}


@pytest.mark.parametrize("text", list(BAD_CONFIGS))
def test_that_a_bad_config_is_refused_with_a_sentence(text: str, tmp_path: Path) -> None:
    made(tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text(text)
    with pytest.raises(RunError, match=BAD_CONFIGS[text]) as caught:
        Run.open(tmp_path / "run")
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    assert "config.json" in str(caught.value)


def test_that_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    made(tmp_path / "run")
    (tmp_path / "run" / "config.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match="cannot be read"):
        Run.open(tmp_path / "run")


def test_that_a_run_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"schema": run.SCHEMA + 1, "app": "99.1", "config": "unknown"}))
    with pytest.raises(RunError, match=r"written by a newer Diffusion Studio \(99\.1\)\. Update the app\."):
        Run.open(tmp_path / "run")


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_that_only_regular_files_of_its_own_are_opened(kind: str, tmp_path: Path) -> None:
    found = made(tmp_path / "run")
    hostile.put(tmp_path / "run" / "data.json", kind)
    assert found.manifest == {} and found.class_names == ()
    hostile.put(tmp_path / "run" / "config.json", kind)
    with pytest.raises(RunError, match=r"is not a run|config\.json cannot be read: .*\."):
        Run.open(tmp_path / "run")


@pytest.mark.parametrize("name", ["nowhere", "file", "folder"])
def test_that_what_is_no_run_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunError, match=r"is not a run: it holds no config\.json"):
        Run.open(tmp_path / name)
    with pytest.raises(RunError, match="is not a run"):
        move_to_trash(tmp_path / name)
    assert not is_run(tmp_path / name)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"class_names": 3}', '{"class_names": "ab"}', None])
def test_that_a_damaged_manifest_reads_as_empty(content: str | None, tmp_path: Path) -> None:
    found = made(tmp_path / "run")
    (tmp_path / "run" / "data.json").unlink()
    if content is not None:
        (tmp_path / "run" / "data.json").write_text(content)
    assert found.manifest == (json.loads(content) if content and "names" in content else {})
    assert found.class_names == ()


@pytest.mark.parametrize("at", range(1, 5))
def test_that_a_config_is_replaced_whole_or_not_at_all(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = made(tmp_path / "run")
    calls = [0]

    def wrapped(original: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            calls[0] += 1
            if calls[0] == at:
                raise OSError(28, "No space left on device")
            return original(*args, **kwargs)

        return call

    for owner, name in ((files.os, "fsync"), (Path, "open"), (Path, "replace")):
        monkeypatch.setattr(owner, name, wrapped(getattr(owner, name)))
    after = Run(before.path, before.config.model_copy(update={"seed": 77}))
    with pytest.raises(OSError, match="No space"):
        after.write_config()
    monkeypatch.undo()
    assert Run.open(tmp_path / "run").config.seed == (77 if at == 4 else 0)
    assert [p.name for p in (tmp_path / "run").iterdir() if p.name.endswith(".tmp")] == []


def test_that_a_config_is_read_once_and_again_where_it_changed(tmp_path: Path) -> None:
    path = made(tmp_path / "run").path
    config, long_ago = path / "config.json", (10**9, 10**9)
    os.utime(config, long_ago)
    first = read_config(path)
    assert read_config(path) is first
    assert list_runs(tmp_path, RunConfig.kind) == [path]
    content = json.loads(config.read_text())
    content["config"]["training"]["batch_size"] = 77
    config.write_text(json.dumps(content))
    assert read_config(path).training.batch_size == 77
    content["kind"] = "vae"
    config.write_text(json.dumps(content))
    assert list_runs(tmp_path, RunConfig.kind) == []
    config.write_text("{")
    with pytest.raises(RunError):
        read_config(path)


def test_that_runs_are_listed_newest_first(tmp_path: Path) -> None:
    for number, name in enumerate(("b", "a", "c")):
        made(tmp_path / name)
        os.utime(tmp_path / name / "config.json", (number, number))
    made(tmp_path / ".hidden")
    (tmp_path / "no run").mkdir()
    (tmp_path / "file").write_text("")
    assert [path.name for path in list_runs(tmp_path)] == ["c", "a", "b"]
    assert list_runs(tmp_path / "nowhere") == []


def test_that_a_run_can_be_thrown_away_and_put_back(tmp_path: Path) -> None:
    made(tmp_path / "run")
    (tmp_path / "run" / "samples" / "note.txt").write_text("kept")
    trashed = move_to_trash(tmp_path / "run")
    assert trashed == tmp_path / ".trash" / "run"
    assert not (tmp_path / "run").exists()
    assert list_runs(tmp_path) == []
    made(tmp_path / "run")
    assert move_to_trash(tmp_path / "run") == tmp_path / ".trash" / "run-2"
    put_back(trashed, tmp_path / "run")
    assert (tmp_path / "run" / "samples" / "note.txt").read_text() == "kept"
    with pytest.raises(RunError, match=r"exists again; the run stays in .*run-2\."):
        put_back(tmp_path / ".trash" / "run-2", tmp_path / "run")


def test_that_what_lies_in_the_trash_is_listed_with_its_size_and_home(tmp_path: Path) -> None:
    assert list_trash(tmp_path) == []
    for name in ("b", "a"):
        made(tmp_path / name)
        (tmp_path / name / "samples" / "note.txt").write_text("x" * 1000)
        move_to_trash(tmp_path / name)
    (tmp_path / ".trash" / "no run").mkdir()
    first, second = list_trash(tmp_path)
    assert (first.path, first.home) == (tmp_path / ".trash" / "a", tmp_path / "a")
    assert second.home == tmp_path / "b"
    assert first.size > 1000


def test_that_only_what_lies_in_the_trash_is_deleted_for_good(tmp_path: Path) -> None:
    made(tmp_path / "run")
    with pytest.raises(RunError, match="not a run in the trash"):
        delete_for_good(tmp_path / "run")
    delete_for_good(move_to_trash(tmp_path / "run"))
    assert list_trash(tmp_path) == []
    assert not (tmp_path / "run").exists()


def test_that_a_run_with_a_damaged_config_can_be_thrown_away(tmp_path: Path) -> None:
    made(tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text("{")
    move_to_trash(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_that_a_run_in_training_is_not_thrown_away(tmp_path: Path) -> None:
    found = made(tmp_path / "run")
    with found.lock(), pytest.raises(RunError, match=r"run is being trained; stop it first\."):
        move_to_trash(tmp_path / "run")
    assert is_run(tmp_path / "run")
    move_to_trash(tmp_path / "run")


def test_that_a_disk_that_refuses_leaves_the_run_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "run")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "move", refuse)
    with pytest.raises(RunError, match=r"run could not be moved: Permission denied\."):
        move_to_trash(tmp_path / "run")
    assert is_run(tmp_path / "run")


def test_that_a_lock_holds_against_others_and_ends_with_its_holder(tmp_path: Path) -> None:
    found = made(tmp_path / "run")
    code = "import sys, filelock\nwith filelock.FileLock(sys.argv[1]): print('held', flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run" / ".lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(filelock.Timeout), found.lock():
            pass
        holder.kill()
    with found.lock():
        pass


def test_that_a_lock_taken_in_one_thread_can_be_given_back_in_another(tmp_path: Path) -> None:
    lock = made(tmp_path / "run").lock()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    lock.release()
    with Run.open(tmp_path / "run").lock():
        pass


def test_that_the_size_counts_every_file(tmp_path: Path) -> None:
    found = made(tmp_path / "run")
    before = found.size
    (found.sample_folder / "a.bin").write_bytes(b"x" * 1000)
    assert found.size == before + 1000


def test_that_the_size_of_a_run_in_training_can_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = made(tmp_path / "run")
    (found.sample_folder / "a.bin").write_bytes(b"x" * 1000)
    is_file = Path.is_file

    def vanishing(path: Path) -> bool:
        there = is_file(path)
        if path.name == "a.bin":
            path.unlink(missing_ok=True)
        return there

    before = found.size
    monkeypatch.setattr(Path, "is_file", vanishing)
    assert found.size == before - 1000


# A run of a training


def test_that_a_run_records_what_was_chosen(tmp_path: Path) -> None:
    zoo = write_pictures(tmp_path / "zoo")
    config = with_value(tiny_config(zoo, steps=2), "model.width", 0)
    session = begin(tmp_path / "run", config)
    found = Run.open(tmp_path / "run")
    assert found.config == session.config
    assert found.config.model.width > 0
    assert (found.config.data.resolution, found.config.data.channels) == (8, 1)
    assert found.config.training.precision in ("fp32", "bf16")
    assert found.config.model.conditional
    assert found.class_names == ("ape", "bee", "cat")
    assert found.manifest["count"] == 12
    assert found.manifest["fingerprint"] == session.images.fingerprint
    finish(session)
    assert (found.step, found.trained_seconds) == (2, session.counters.seconds)


def test_that_one_class_is_no_class(tmp_path: Path) -> None:
    session = begin(tmp_path / "run", tiny_config(write_pictures(tmp_path / "zoo", ("ape",))))
    assert not session.config.model.conditional
    assert session.learner.classes == 0
    finish(session)
    assert resume(tmp_path / "run").counters.step == 4


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [("model.multipliers", (1, 2, 2, 2, 2), "at least 16"), ("model.width", 12, "multiple of 8"),
     ("model.multipliers", (1, 0), "at least 1")],
)  # fmt: skip
def test_that_a_network_that_cannot_be_built_leaves_no_run(
    path: str, value: object, words: str, pictures: Path, tmp_path: Path
) -> None:
    config = with_value(tiny_config(pictures), path, value)
    with pytest.raises(ValueError, match=words):
        begin(tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_that_missing_images_leave_no_run(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        begin(tmp_path / "run", tiny_config(tmp_path / "nowhere"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "content",
    ['{"dataset_name": "my pictures", "version": 1}', '{"_class_name": "UNet2DModel"}', "[]", "{", ""],
)
def test_that_a_folder_with_a_config_of_somebody_else_is_no_run(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    assert not is_run(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    assert is_run(tmp_path)  # ours, and damaged


class GuessConfig(TrainingConfig):
    """A kind of training that only these tests know."""

    kind: ClassVar[str] = "guess"
    luck: float = 0.5


def test_that_a_config_says_its_kind_and_an_older_one_is_of_a_diffusion_model(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", RunConfig(seed=3), {})
    file = run.path / "config.json"
    content = json.loads(file.read_text("utf-8"))
    assert content.pop("kind") == "diffusion"
    file.write_text(json.dumps(content), "utf-8")
    assert Run.open(run.path).config == RunConfig(seed=3)


def test_that_a_training_of_another_kind_has_a_config_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"schema": 1, "kind": "guess", "config": {"luck": 0.25}}), "utf-8")
    assert read_config(tmp_path) == GuessConfig(luck=0.25)
    with pytest.raises(RunError, match="a training of the kind guess, not diffusion"):
        Run.open(tmp_path)
    run = Run.open_as(tmp_path, GuessConfig)
    run.write_config()
    assert Run.open_as(tmp_path, GuessConfig) == run


def test_that_an_unknown_kind_is_of_a_newer_version(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"schema": 1, "kind": "dream", "app": "9.0", "config": {}}), "utf-8")
    with pytest.raises(RunError, match=r"written by a newer Diffusion Studio \(9\.0\)"):
        Run.open(tmp_path)

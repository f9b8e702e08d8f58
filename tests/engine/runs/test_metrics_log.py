"""metrics.jsonl holds the numbers of the database, and is only ever appended to."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop import run_keeper
from diffusion_studio.engine.runs import metrics_log
from diffusion_studio.engine.runs.metrics_log import MetricsLog, MetricsTail, newest_line
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.learner import Learner
from diffusion_studio.engine.training.trainer import train
from support.tiny import begin, finish, resume, tiny_config, with_training


def lines_of(path: Path, kind: str = "") -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    return [line for line in lines if not kind or line["kind"] == kind]


@pytest.mark.parametrize("every", [run_keeper.WRITE_EVERY, 0.0])
def test_that_the_lines_are_the_numbers_of_the_database(
    every: float, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_keeper, "WRITE_EVERY", every)
    finish(begin(tmp_path / "run", tiny_config(pictures, steps=5)))
    run = Run.open(tmp_path / "run")
    before = run.metrics_log_path.read_bytes()
    finish(resume(run.path, with_training(run.config, steps=9)))
    assert run.metrics_log_path.read_bytes().startswith(before), "only ever appended to"
    losses = lines_of(run.metrics_log_path, "loss")
    known = run.metrics.losses()
    assert [line["step"] for line in losses] == known.steps.tolist() == list(range(1, 10))
    assert [line["loss"] for line in losses] == known.losses.tolist()
    assert [line["segment"] for line in losses] == [1] * 5 + [2] * 4
    errors = lines_of(run.metrics_log_path, "errors")[-1]
    record = run.metrics.timesteps()
    assert record is not None
    assert errors["step"] == record.step == 9
    for name in ("t", "error", "spread", "count", "weight", "density", "share"):
        wanted = [None if value != value else value for value in getattr(record, name).tolist()]
        assert errors[name] == wanted, name
    assert "log_snr" not in errors


def test_that_a_loss_that_is_no_number_is_null(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl", 0)
    log.losses(1, np.array([0.5, np.nan, np.inf], np.float32))
    log.close(4)
    assert [line["loss"] for line in lines_of(tmp_path / "metrics.jsonl", "loss")] == [0.5, None, None]


def test_that_a_line_of_a_loss_is_written_as_every_other_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path, 0)
    log.losses(1, np.array([0.1, 1e-9, 3e20, -2.0, np.nan], np.float32))
    log.close(5)
    written = path.read_text("ascii").splitlines()
    assert written == [json.dumps(json.loads(line), separators=(",", ":")) for line in written]
    losses = [{"kind": "loss", "segment": 1, "step": n, "loss": loss} for n, loss in enumerate(
        [*map(float, np.array([0.1, 1e-9, 3e20, -2.0], np.float32)), None], start=1
    )]  # fmt: skip
    assert [json.loads(line) for line in written[1:-1]] == losses


def test_that_a_line_that_was_cut_is_ended_and_the_next_start_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    first = MetricsLog(path, 0)
    first.losses(1, np.ones(1, np.float32))
    first.close(1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    MetricsLog(path, 1).close(1)
    lines = path.read_text().splitlines()
    assert lines[:2] == whole.decode().splitlines()[:2]
    assert lines[2] == whole.decode().splitlines()[2][:-9]
    assert [json.loads(line)["segment"] for line in lines[3:]] == [2, 2]


def test_that_on_a_full_disk_the_lines_wait_and_none_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path, 0)
    log.losses(1, np.ones(4, np.float32))
    write = metrics_log._write_all

    def full(file: Any, data: bytes) -> None:
        write(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(metrics_log, "_write_all", full)
    with pytest.raises(OSError, match="No space"):
        log.flush()
    assert [line["kind"] for line in lines_of(path)] == ["start"]
    monkeypatch.setattr(metrics_log, "_write_all", write)
    log.close(4)
    assert [line["step"] for line in lines_of(path, "loss")] == [1, 2, 3, 4]


def test_that_what_is_appended_is_read_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = MetricsTail(path)
    assert tail.new() == []
    path.write_bytes(b'{"kind": "start", "step": 0}\n{"kind": "loss", "step": 1, "lo')
    assert tail.new() == [{"kind": "start", "step": 0}]
    with path.open("ab") as file:
        file.write(b'ss": 0.5}\n')
    assert tail.new() == [{"kind": "loss", "step": 1, "loss": 0.5}]
    assert tail.new() == []
    path.write_bytes(b'{"kind": "start", "step": 7}\n')
    assert not tail.is_other
    path.write_bytes(b'{"kind": "start", "step": 7}\n')
    assert tail.new() == [{"kind": "start", "step": 7}]
    assert tail.is_other, "another file in its place"


@pytest.mark.parametrize("size", [0, 9, 40, 64])
def test_that_a_file_that_has_lost_its_end_is_the_same(size: int, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"kind": "start", "step": 7}\n{"kind": "loss", "step": 8, "loss": 1}\n')
    tail = MetricsTail(path)
    tail.new()
    os.truncate(path, size)
    tail.new()
    assert not tail.is_other


def test_that_of_a_long_file_the_newest_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"".join(b'{"kind":"loss","step":%d,"loss":1}\n' % step for step in range(60_000)))
    steps = [line["step"] for line in MetricsTail(path).new()]
    assert 10_000 < len(steps) < 60_000
    assert steps == list(range(60_000 - len(steps), 60_000))


def device(step: int) -> bytes:
    return b'{"kind":"device","step":%d}\n' % step


LOSSES = b"".join(b'{"kind":"loss","step":%d,"loss":1}\n' % step for step in range(99))
START = b'{"kind":"start","step":0}\n'


@pytest.mark.parametrize("piece", [40, 64, 99, 1 << 20])
@pytest.mark.parametrize(
    ("content", "step"),
    [
        (b"", None),
        (LOSSES, None),
        (device(1) + LOSSES, 1),
        (START + device(1) + LOSSES + device(2) + device(3) + LOSSES, 3),
        (LOSSES + device(1) + b'{"kind":"device","st', 1),
        (device(1) + b"x" * 999 + b"\n" + LOSSES, 1),
        (device(1) + START + LOSSES, None),
        (START + device(1) + LOSSES + START + device(2), 2),
    ],
    ids=["empty", "none", "first", "newest", "half a line", "a long line", "before", "begun again"],
)
def test_that_the_newest_line_of_a_kind_is_found_from_the_end(
    content: bytes, step: int | None, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_log, "_RECENT", piece)
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(content)
    found = newest_line(path, "device")
    assert (found if found is None else found["step"]) == step


def test_that_no_more_is_read_than_comes_after_the_newest_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(size)
            read.append(len(found))
            return found

    content = LOSSES * 99 + device(1) + LOSSES
    monkeypatch.setattr(metrics_log, "_RECENT", 1000)
    monkeypatch.setattr(
        metrics_log, "regular", lambda *_: SimpleNamespace(open=lambda mode: Counted(content))
    )
    assert newest_line(tmp_path / "metrics.jsonl", "device") == {"kind": "device", "step": 1}
    assert sum(read) < len(LOSSES) + 2000


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[1]",
        b"no",
        b'{"kind": 1, "step": 2}',
        b'{"kind": "loss", "step": 1, "loss": "x"}',
        b"[" * 9999,
        b'{"kind": "loss", "step": 1, "loss": 1%s}' % (b"0" * 400),
        b'{"kind": "start", "step": 1%s}' % (b"0" * 40),
    ],
)
def test_that_other_lines_are_passed_over(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(line + b'\n{"kind": "start", "step": 0}\n')
    assert MetricsTail(path).new() == [{"kind": "start", "step": 0}]


@pytest.mark.parametrize("segment", ["Infinity", "[]", "1" + "0" * 5000])
def test_that_a_start_after_other_lines_has_a_number(segment: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"segment": 4}}\n{{"segment": {segment}}}\n')
    log = MetricsLog(path, 0)
    log.close(0)
    assert log.segment == 5


@pytest.mark.parametrize(
    ("act", "outcome", "said"),
    [
        (lambda control: None, "done", "Step 3, everything is saved."),
        (lambda control: control.stop(), "stopped", "Step 0, everything is saved."),
        (None, "failed", "There is not enough memory for a batch of 16 images."),
    ],
    ids=["done", "stopped", "failed"],
)
def test_that_the_last_line_says_how_a_training_ended(
    act: Any, outcome: str, said: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_room(*_: object) -> None:
        raise MemoryError

    control, session = Control(), begin(tmp_path / "run", tiny_config(pictures, steps=3))
    if act is None:
        monkeypatch.setattr(Learner, "step", without_room)
    else:
        act(control)
    last = [*train(session, control)][-1]
    line = lines_of(session.run.metrics_log_path)[-1]
    assert (line["kind"], line["outcome"], line["message"]) == ("end", outcome, getattr(last, "message", ""))
    assert line["message"].startswith(said)


def test_that_a_training_that_is_given_up_has_failed(pictures: Path, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures))
    stream = train(session, Control())
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    line = lines_of(session.run.metrics_log_path, "end")[-1]
    assert (line["outcome"], "message" in line) == ("failed", False)


def test_that_a_link_to_the_file_of_somebody_else_is_not_written(tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text("theirs\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").symlink_to(other)
    with pytest.raises(OSError):
        MetricsLog(tmp_path / "run" / "metrics.jsonl", 0)
    assert other.read_text() == "theirs\n"


def test_that_a_training_goes_on_where_the_file_cannot_be_written(pictures: Path, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures))
    session.run.metrics_log_path.mkdir()
    told = finish(session)
    assert told[-1].outcome == "done"
    assert any("metrics.jsonl cannot be written" in str(event) for event in told)

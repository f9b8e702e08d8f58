"""The metrics of a run: what is written can be read at once, by anybody, whatever became of the writer."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion_studio.engine.runs.metrics import Metrics, MetricsReader, TimestepRecord
from diffusion_studio.engine.runs.quality import Quality
from support import hostile
from support.odd_metrics import ODD_METRICS, SILENT


def numbers(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def record(step: int, bins: int = 4) -> TimestepRecord:
    t = np.arange(1.0, bins + 1)
    error = np.where(t == 2, np.nan, t / step)
    return TimestepRecord(step, t, error, error / 2, np.arange(bins))


def test_that_losses_are_read_while_they_are_written(tmp_path: Path) -> None:
    writer, reader = Metrics(tmp_path / "m.sqlite", 0), MetricsReader(tmp_path / "m.sqlite")
    assert len(reader.losses().steps) == 0
    for first in (1, 4, 7):
        writer.add(first, numbers(first, first + 1, first + 2), record(first + 2))
        line = reader.losses()
        assert line.steps.tolist() == line.losses.tolist() == list(range(1, first + 3))
        newest = reader.timesteps()
        assert newest is not None
        assert newest.step == first + 2
    writer.close()
    assert len(reader.losses().steps) == 9


def test_that_a_transaction_in_progress_is_not_seen_and_does_not_block(tmp_path: Path) -> None:
    writer, reader = Metrics(tmp_path / "m.sqlite", 0), MetricsReader(tmp_path / "m.sqlite")
    writer.add(1, numbers(1, 2))
    writer._db.execute("BEGIN IMMEDIATE")
    writer._db.execute("INSERT INTO losses VALUES (1, 3, 3.0)")
    assert reader.losses().steps.tolist() == [1, 2]
    writer._db.execute("COMMIT")
    assert reader.losses().steps.tolist() == [1, 2, 3]
    writer.close()


def test_that_a_flush_that_fails_leaves_nothing_half(tmp_path: Path) -> None:
    writer = Metrics(tmp_path / "m.sqlite", 0)
    writer._db.execute("DROP TABLE timesteps")
    with pytest.raises(sqlite3.Error):
        writer.add(1, numbers(1, 2), record(2))
    assert len(MetricsReader(tmp_path / "m.sqlite").losses().steps) == 0
    writer.add(1, numbers(1, 2))
    assert MetricsReader(tmp_path / "m.sqlite").losses().steps.tolist() == [1, 2]
    writer.close()


def test_that_losses_that_are_no_numbers_are_null_and_read_as_nan(tmp_path: Path) -> None:
    writer = Metrics(tmp_path / "m.sqlite", 0)
    writer.add(1, numbers(1, np.nan, np.inf, 4))
    writer.close()
    with sqlite3.connect(tmp_path / "m.sqlite") as db:
        assert db.execute("SELECT value FROM loss").fetchall() == [(1.0,), (None,), (None,), (4.0,)]
    db.close()
    np.testing.assert_array_equal(
        MetricsReader(tmp_path / "m.sqlite").losses().losses, [1, np.nan, np.nan, 4]
    )


def test_that_errors_by_timestep_come_back_bit_by_bit(tmp_path: Path) -> None:
    writer = Metrics(tmp_path / "m.sqlite", 0)
    writer.add(1, numbers(1), record(1))
    writer.add(2, numbers(1), record(2))
    writer.close()
    found, expected = MetricsReader(tmp_path / "m.sqlite").timesteps(), record(2)
    assert found is not None
    for name in ("t", "error", "spread", "count"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.count.dtype == np.int64


STARTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), min_size=1, max_size=6)


@given(STARTS)
def test_that_the_line_follows_the_last_start_at_every_step(
    tmp_path_factory: pytest.TempPathFactory, starts: list[tuple[int, int]]
) -> None:
    """Each start goes on from a step that is there; the losses of what it replaces stay as a branch."""
    path = tmp_path_factory.mktemp("metrics") / "m.sqlite"
    line: dict[int, float] = {}
    branches = []
    for number, (wanted, length) in enumerate(starts):
        first = min(wanted, len(line))
        writer = Metrics(path, first)
        losses = numbers(*(100 * number + i for i in range(length)))
        writer.add(first + 1, losses)
        writer.close()
        line = {step: loss for step, loss in line.items() if step <= first}
        line |= {first + 1 + i: float(loss) for i, loss in enumerate(losses)}
        branches += [(first + 1, losses)] if length else []
    reader = MetricsReader(path)
    found = reader.losses()
    assert found.steps.tolist() == sorted(line)
    assert found.losses.tolist() == [line[step] for step in sorted(line)]
    segments = reader.segments()
    assert [(int(s.steps[0]), s.losses.tolist()) for s in segments] == [
        (step, losses.tolist()) for step, losses in branches
    ]


def test_that_what_happened_is_kept_in_order(tmp_path: Path) -> None:
    writer = Metrics(tmp_path / "m.sqlite", 0)
    writer.note(3, "warning", "Zuerst „dies“.")
    writer.note(2, "pause", "then that")
    writer.close()
    assert MetricsReader(tmp_path / "m.sqlite").events() == [
        (3, "warning", "Zuerst „dies“."),
        (2, "pause", "then that"),
    ]


def reads_as_empty(path: Path) -> None:
    reader = MetricsReader(path)
    assert len(reader.losses().steps) == len(reader.losses().losses) == 0
    assert (reader.segments(), reader.timesteps(), reader.events()) == ([], None, [])


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_that_a_damaged_database_reads_as_empty(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.sqlite").write_bytes(content)
    reads_as_empty(tmp_path / "m.sqlite")


def test_that_no_database_reads_as_empty(tmp_path: Path) -> None:
    reads_as_empty(tmp_path / "m.sqlite")
    (tmp_path / "m.sqlite").mkdir()
    reads_as_empty(tmp_path / "m.sqlite")


def test_that_a_database_that_cannot_be_opened_reads_as_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Metrics(tmp_path / "m.sqlite", 0).close()

    def refuse(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", refuse)
    reads_as_empty(tmp_path / "m.sqlite")


def test_that_reading_never_makes_a_file(tmp_path: Path) -> None:
    reads_as_empty(tmp_path / "m.sqlite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a#b?c %20.sqlite", "grüße 山水.sqlite"])
def test_that_any_name_will_do(name: str, tmp_path: Path) -> None:
    writer = Metrics(tmp_path / name, 0)
    writer.add(1, numbers(1))
    writer.close()
    assert MetricsReader(tmp_path / name).losses().steps.tolist() == [1]


def test_that_a_damaged_database_is_refused_by_the_writer_and_let_go(tmp_path: Path) -> None:
    (tmp_path / "m.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(sqlite3.DatabaseError):
        Metrics(tmp_path / "m.sqlite", 0)


def test_that_a_schema_that_is_no_text_is_damage_and_no_fault(tmp_path: Path) -> None:
    """The library quotes names of tables and columns when it complains, and not all of them are text."""
    path = tmp_path / "metrics.sqlite"
    writer = Metrics(path, 0)
    writer.add(1, np.ones(3, np.float32))
    writer.close()
    content, told = path.read_bytes(), set()
    first = content.index(b"CREATE TABLE")
    for place in range(first, first + 600, 3):
        for byte in (b"\x80", b"\xff"):
            path.write_bytes(content[:place] + byte + content[place + 1 :])
            reader = MetricsReader(path)
            for read in (reader.losses, reader.segments, reader.timesteps, reader.quality, reader.events):
                read()
            told.add(reader.problem)
            with contextlib.suppress(sqlite3.Error):
                Metrics(path, 0).close()
    assert any("damaged" in problem for problem in told)


@pytest.mark.parametrize("kind", [kind for kind in hostile.KINDS if kind not in ("deep", "huge")])
def test_that_only_a_file_of_its_own_is_opened(kind: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "m.sqlite"
    sqlite3.connect(path).close()
    path.touch()
    hostile.put(path, kind)
    reads_as_empty(path)
    with pytest.raises(sqlite3.Error):
        Metrics(path, 0)
    if kind == "link out":
        assert path.resolve().read_bytes() == b""


def test_that_an_empty_flush_is_allowed(tmp_path: Path) -> None:
    writer = Metrics(tmp_path / "m.sqlite", 5)
    writer.add(6, numbers())
    writer.close()
    assert MetricsReader(tmp_path / "m.sqlite").segments() == []


ODD = {
    "a step in words": "INSERT INTO losses VALUES (1, 'two', 1.0)",
    "a loss in words": "INSERT OR REPLACE INTO losses VALUES (1, 2, 'much')",
    "a loss of bytes": "INSERT OR REPLACE INTO losses VALUES (1, 2, x'00ff')",
    "bins of half a number": "INSERT INTO timesteps VALUES (1, 9, x'00', x'00', x'00', x'00', 0, 0, 0, 0)",
    "bins in words": "INSERT INTO timesteps VALUES (1, 9, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')",
    "a measure more": "INSERT INTO quality SELECT segment, 7, json_set(json, '$.new', 1) FROM quality",
    "a measure in words": 'INSERT INTO quality VALUES (1, 7, \'{"count": "many"}\')',
    "measures that are none": "INSERT INTO quality VALUES (1, 7, '[3')",
    "measures nested too deeply": f"INSERT INTO quality VALUES (1, 7, '{'[' * 100_000}')",
    "an event at no step": "INSERT INTO events VALUES (1, 'now', 1.0, 'objective', 'changed')",
    "text that is no text": "INSERT INTO events VALUES (1, 1, 1.0, 'objective', CAST(x'ff00fe' AS TEXT))",
    "no table": "DROP TABLE quality",
}


@pytest.mark.parametrize("oddity", ODD)
def test_that_what_cannot_be_read_is_left_out(oddity: str, tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    writer = Metrics(path, 0)
    writer.add(1, numbers(1, 2, 3), record(1))
    writer.add_quality(3, Quality(4, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9))
    writer.note(2, "objective", "weight changed")
    writer.close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        db.execute(ODD[oddity])
        db.commit()
    reader = MetricsReader(path)
    assert set(reader.losses().steps.tolist()) >= {1, 3}
    assert [len(segment.steps) for segment in reader.segments()] != []
    assert reader.timesteps() is None or reader.timesteps().step in (1, 9)
    assert [record.step for record in reader.timestep_history()] == [1]
    assert all(isinstance(step, int) for step, *_ in (*reader.quality(), *reader.marks(), *reader.events()))
    if oddity == "a measure more":
        assert [step for step, _ in reader.quality()] == [3, 7]


@pytest.mark.parametrize("kind", ODD_METRICS)
def test_that_what_somebody_else_wrote_is_left_out_and_told(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    writer = Metrics(path, 0)
    writer.add(1, numbers(1, 2), record(2))
    writer.close()
    ODD_METRICS[kind](path)
    reader = MetricsReader(path)
    found = [reader.losses(), *reader.segments()]
    reader.timesteps(), reader.timestep_history(), reader.quality(), reader.marks()
    assert all(((line.steps >= 0) & (line.steps <= 10**12)).all() for line in found)
    assert not np.isinf(np.concatenate([line.losses.astype(np.float32) for line in found])).any()
    told = "" if kind in SILENT else f"Not everything in {path} can be read ("
    assert reader.problem.startswith(told) and bool(reader.problem) == bool(told)


def test_that_a_database_of_before_is_read_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    assert MetricsReader(path).losses().steps.tolist() == []
    path.touch()  # killed before it was filled
    reader = MetricsReader(path)
    reader.segments(), reader.timestep_history(), reader.quality(), reader.marks()
    assert reader.problem == ""


def test_that_a_database_in_a_folder_that_may_only_be_read_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a folder has no place for the files that readers share: the library cannot open the database."""
    path = tmp_path / "metrics.sqlite"
    written = Metrics(path, 0)
    written.add(1, np.array([0.5, 0.25], np.float32))
    written.close()
    connect = sqlite3.connect

    def refusing(address: str, **options: object) -> sqlite3.Connection:
        if "immutable" not in address:
            address = (tmp_path / "nowhere" / "metrics.sqlite").as_uri() + "?mode=ro"
        return connect(address, **options)

    monkeypatch.setattr(sqlite3, "connect", refusing)
    reader = MetricsReader(path)
    assert reader.losses().losses.tolist() == [0.5, 0.25]
    assert reader.problem == ""


def test_that_a_folder_without_shared_memory_keeps_metrics_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a network folder: the library locks by files there, and knows no WAL."""
    path = tmp_path / "metrics.sqlite"
    connect = sqlite3.connect

    def locking_by_files(place: object, **options: object) -> sqlite3.Connection:
        address = str(place) if str(place).startswith("file:") else Path(str(place)).as_uri()
        join = "&" if "?" in address else "?"
        return connect(f"{address}{join}vfs=unix-dotfile", **{**options, "uri": True})

    monkeypatch.setattr(sqlite3, "connect", locking_by_files)
    written = Metrics(path, 0)
    written.add(1, np.array([0.5], np.float32))
    assert MetricsReader(path).losses().losses.tolist() == [0.5]
    written.close()
    assert not path.with_name("metrics.sqlite-wal").exists()

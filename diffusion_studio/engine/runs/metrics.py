"""The metrics database of a run: every loss, errors by timestep, and what happened when.

One transaction per flush, readable while training writes. When a run goes on from an older checkpoint a
new segment begins; the view `loss` follows the line that led to the newest step.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import printable
from diffusion_studio.engine.files.databases import NO_PLACE, WHY, code_of, why_not
from diffusion_studio.engine.files.reading import ANY_SIZE, inside, regular
from diffusion_studio.engine.runs.quality import Quality

log = logging.getLogger(__name__)
Row = tuple[object, ...]
V = TypeVar("V")

WAIT, LAST_WAIT = 0.2, 15.0  # seconds for another program that holds the database: on the way, at both ends
MOST_STEP = 10**12  # beyond it lies no training
MOST_SEGMENTS = 1000  # starts of one training that are shown
ODD_ROWS = tr("it has rows of another kind")

_VIEWS = (
    "SELECT 1 FROM sqlite_master WHERE type = 'view' AND "
    "lower(name) IN ('segments', 'losses', 'timesteps', 'quality', 'events')"
)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS segments (segment INTEGER PRIMARY KEY, first_step INTEGER NOT NULL,
                                     started REAL NOT NULL);
CREATE TABLE IF NOT EXISTS losses (segment INTEGER NOT NULL, step INTEGER NOT NULL, value REAL,
                                   PRIMARY KEY (segment, step)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS timesteps (segment INTEGER NOT NULL, step INTEGER NOT NULL,
                                      t BLOB NOT NULL, error BLOB NOT NULL, spread BLOB NOT NULL,
                                      count BLOB NOT NULL, weight BLOB, density BLOB, share BLOB,
                                      log_snr BLOB,
                                      PRIMARY KEY (segment, step)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quality (segment INTEGER NOT NULL, step INTEGER NOT NULL, json TEXT NOT NULL,
                                    PRIMARY KEY (segment, step)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (segment INTEGER NOT NULL, step INTEGER NOT NULL, at REAL NOT NULL,
                                   kind TEXT NOT NULL, message TEXT NOT NULL);
CREATE VIEW IF NOT EXISTS loss AS
    SELECT step, value FROM losses AS l
    WHERE NOT EXISTS (SELECT 1 FROM segments AS s WHERE s.segment > l.segment AND s.first_step < l.step)
    ORDER BY step;
"""


@dataclass(frozen=True, eq=False)
class LossSegment:
    """Losses between one start of the training and the next."""

    steps: NDArray[np.int64]
    losses: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TimestepRecord:
    """Errors by timestep as they stood at one step."""

    step: int
    t: NDArray[np.float64]
    error: NDArray[np.float64]
    spread: NDArray[np.float64]
    count: NDArray[np.int64]
    weight: NDArray[np.float64] | None = None  # λ_t on the ε error
    density: NDArray[np.float64] | None = None  # p_t
    share: NDArray[np.float64] | None = None  # of the loss; sums to 1
    log_snr: NDArray[np.float64] | None = None  # of a learned schedule


_ADDED = ("weight", "density", "share", "log_snr")  # columns that older databases lack


class Metrics:
    """The writer; one per training.

    Raises:
        sqlite3.Error: the database cannot be written, or is none of its folder's own.
    """

    def __init__(self, path: Path, first_step: int) -> None:
        self._path = _own_file(path)
        self._db = self._opened("rwc")
        try:
            self.segment = self._begin(first_step)
            self.wait(WAIT)
        except UnicodeDecodeError as error:  # a damaged name of a column
            self._db.close()
            raise sqlite3.DatabaseError(WHY[sqlite3.SQLITE_CORRUPT]) from error
        except BaseException:
            self._db.close()
            raise

    def _opened(self, mode: str) -> sqlite3.Connection:
        address = f"{self._path.resolve().as_uri()}?mode={mode}"
        return sqlite3.connect(
            address, uri=True, isolation_level=None, check_same_thread=False, timeout=LAST_WAIT
        )

    def wait(self, seconds: float) -> None:
        """How long another program that holds the database is waited for, from now on."""
        with contextlib.suppress(sqlite3.Error):
            self._db.execute(f"PRAGMA busy_timeout = {round(1000 * seconds)}")

    def open_again(self, error: sqlite3.Error) -> None:
        """After an error of the disk: what leads into a folder that was away may lead nowhere."""
        if code_of(error) not in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            return
        with contextlib.suppress(sqlite3.Error, OSError):
            found = self._opened("rw")
            try:
                found.execute("SELECT 1 FROM segments").fetchone()
            except sqlite3.Error:
                found.close()
                raise
            self._db.close()
            self._db = found
            self.wait(WAIT)

    def _begin(self, first_step: int) -> int:
        """Makes what is missing and opens a segment; its number."""
        with contextlib.suppress(sqlite3.OperationalError):  # a network folder has no memory to share
            self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        known = {row[1] for row in self._db.execute("PRAGMA table_info(timesteps)")}
        for name in _ADDED:
            if name not in known:
                self._db.execute(f"ALTER TABLE timesteps ADD COLUMN {name} BLOB")
        row = self._db.execute("SELECT COALESCE(MAX(segment), 0) + 1 FROM segments").fetchone()
        self._db.execute("INSERT INTO segments VALUES (?, ?, ?)", (row[0], first_step, time.time()))
        return int(row[0])

    def add(
        self,
        first_step: int,
        losses: NDArray[np.float32],
        record: TimestepRecord | None = None,
    ) -> None:
        """Writes the losses of consecutive steps, and the errors by timestep, in one transaction."""
        values = [
            (self.segment, first_step + i, float(v) if np.isfinite(v) else None) for i, v in enumerate(losses)
        ]
        self._db.execute("BEGIN")
        try:
            self._db.executemany("INSERT OR REPLACE INTO losses VALUES (?, ?, ?)", values)
            if record is not None:
                blobs = [np.ascontiguousarray(a).tobytes() for a in (record.t, record.error, record.spread)]
                count = record.count.astype(np.int64).tobytes()
                more = [_blob(getattr(record, name)) for name in _ADDED]
                self._db.execute(
                    "INSERT OR REPLACE INTO timesteps (segment, step, t, error, spread, count, weight, "
                    "density, share, log_snr) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (self.segment, record.step, *blobs, count, *more),
                )
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def note(self, step: int, kind: str, message: str) -> None:
        """Marks something that happened at a step."""
        self._db.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
            (self.segment, step, time.time(), kind, printable(message)),
        )

    def add_quality(self, step: int, quality: Quality) -> None:
        """Writes the measures of the samples drawn at a step."""
        self._db.execute(
            "INSERT OR REPLACE INTO quality VALUES (?, ?, ?)",
            (self.segment, step, json.dumps({k: v for k, v in asdict(quality).items() if not math.isnan(v)})),
        )

    def close(self) -> None:
        self._db.close()


class MetricsReader:
    """Reads a metrics database, also while a training writes it. An absent one reads as empty.

    Rows that somebody else wrote in another way are left out; `problem` says so.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reasons: dict[str, None] = {}  # why something could not be read, in order

    @property
    def problem(self) -> str:
        """What could not be read of all that was asked for until now, as a sentence; or nothing."""
        if not self._reasons:
            return ""
        return tr(
            "Not everything in {path} can be read ({reasons}).",
            path=self._path,
            reasons="; ".join(self._reasons),
        )

    def _rows(self, query: str, *, of_newer: bool = False) -> list[Row]:
        """
        Args:
            of_newer: whether it asks for columns that older databases lack.
        """
        try:
            address = regular(_own_file(self._path), ANY_SIZE).resolve().as_uri()
            try:
                return _asked(f"{address}?mode=ro", query)
            except sqlite3.OperationalError as error:
                if code_of(error) not in NO_PLACE:
                    raise
            return _asked(f"{address}?mode=ro&immutable=1", query)  # as it was when it was last closed
        except FileNotFoundError:
            return []
        except OSError as error:
            self._reasons[str(error.strerror or error)] = None
        except UnicodeDecodeError:  # a name of a column, or what the library quotes of it
            self._reasons[WHY[sqlite3.SQLITE_CORRUPT]] = None
        except sqlite3.Error as error:
            reason = str(error)
            if not reason.startswith("no such table") and not (of_newer and "no such column" in reason):
                self._reasons[why_not(error)] = None
        return []

    def losses(self) -> LossSegment:
        """The losses along the line that led to the newest step."""
        line = (
            "NOT EXISTS (SELECT 1 FROM segments AS s WHERE s.segment > l.segment AND s.first_step < l.step)"
        )
        rows = self._rows(f"SELECT step, value FROM losses AS l WHERE {line} ORDER BY step")
        return self._segment(rows)

    def segments(self) -> list[LossSegment]:
        """The losses of every start of the training, in order; of the newest where they are too many."""
        rows = self._rows(
            "SELECT segment, step, value FROM losses WHERE segment IN (SELECT segment FROM segments "
            f"ORDER BY segment DESC LIMIT {MOST_SEGMENTS}) ORDER BY segment, step"
        )
        found = [self._segment([row[1:] for row in group]) for _, group in groupby(rows, itemgetter(0))]
        return [segment for segment in found if len(segment.steps)]

    def _segment(self, rows: list[Row]) -> LossSegment:
        known = [
            (step, np.nan if value is None else value)
            for step, value in rows
            if isinstance(step, int) and 0 <= step <= MOST_STEP and isinstance(value, int | float | None)
        ]
        if len(known) < len(rows):
            self._reasons[ODD_ROWS] = None
        values = np.array(known, dtype=np.float64).reshape(-1, 2)
        values[:, 1][np.abs(values[:, 1]) > np.finfo(np.float32).max] = np.nan
        return LossSegment(values[:, 0].astype(np.int64), values[:, 1])

    def _readable(self, rows: Iterable[Row], convert: Callable[[Row], V]) -> list[V]:
        """What can be read of some rows."""
        found: list[V] = []
        for row in rows:
            try:
                found.append(convert(row))
            except (ValueError, TypeError, OverflowError, RecursionError) as error:
                log.info("A row of a metrics database was left out: %s", error)
                self._reasons[ODD_ROWS] = None
        return found

    def timesteps(self) -> TimestepRecord | None:
        """The newest errors by timestep."""
        newest = "ORDER BY segment DESC, step DESC LIMIT 1"
        return next(iter(self._records(newest)), None)

    def timestep_history(self, most: int = 200) -> list[TimestepRecord]:
        """At most about `most` records, evenly spread along the line that led to the newest step."""
        line = (
            "FROM timesteps AS r WHERE NOT EXISTS (SELECT 1 FROM segments AS s "
            "WHERE s.segment > r.segment AND s.first_step < r.step)"
        )
        keys = self._rows(f"SELECT segment, step {line} ORDER BY step")
        every = max(1, -(-len(keys) // most))
        chosen = [(a, b) for a, b in keys[::-1][::every] if isinstance(a, int) and isinstance(b, int)]
        listed = ", ".join(f"({segment}, {step})" for segment, step in chosen)
        return self._records(f"WHERE (segment, step) IN (VALUES {listed}) ORDER BY step") if chosen else []

    def _records(self, where: str) -> list[TimestepRecord]:
        columns = "step, t, error, spread, count"
        rows = self._rows(f"SELECT {columns}, {', '.join(_ADDED)} FROM timesteps {where}", of_newer=True)
        if not rows:  # written before these columns were there
            rows = self._rows(f"SELECT {columns} FROM timesteps {where}")
        return self._readable(rows, _record)

    def quality(self) -> list[tuple[int, Quality]]:
        """(step, measures) of the previews, along the line that led to the newest step."""
        rows = self._rows(
            "SELECT step, json FROM quality AS q WHERE NOT EXISTS (SELECT 1 FROM segments AS s "
            "WHERE s.segment > q.segment AND s.first_step < q.step) ORDER BY step"
        )
        return self._readable(rows, _measures)

    def marks(self) -> list[tuple[int, str]]:
        """(step, sentence) of every change of the objective, along the line that led to the newest step."""
        rows = self._rows(
            "SELECT step, message FROM events AS e WHERE kind = 'objective' AND NOT EXISTS (SELECT 1 FROM "
            "segments AS s WHERE s.segment > e.segment AND s.first_step < e.step) ORDER BY at"
        )
        return self._readable(rows, lambda row: (_whole(row[0]), str(row[1])))

    def events(self) -> list[tuple[int, str, str]]:
        """(step, kind, message) in the order in which they happened."""
        rows = self._rows("SELECT step, kind, message FROM events ORDER BY at")
        return self._readable(rows, lambda row: (_whole(row[0]), str(row[1]), str(row[2])))


def _asked(address: str, query: str) -> list[Row]:
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=0.5)) as db:
        if db.execute(_VIEWS).fetchone() is not None:  # it would be computed, perhaps without an end
            raise sqlite3.DatabaseError("a table is a view")
        return db.execute(query).fetchall()


def _own_file(path: Path) -> Path:
    """The database, unless it is a link to one of somebody else, who would get our tables."""
    try:
        return inside(path.parent, path.name)
    except OSError as error:
        raise sqlite3.OperationalError(f"{path.name}: {error.strerror}") from None


def _blob(values: NDArray[np.float64] | None) -> bytes | None:
    return None if values is None else np.ascontiguousarray(values, np.float64).tobytes()


def _whole(value: object) -> int:
    """
    Raises:
        ValueError: it is no step.
    """
    if not isinstance(value, int) or not 0 <= value <= MOST_STEP:
        raise ValueError(f"{value!r} is no step")
    return value


def _record(row: Row) -> TimestepRecord:
    step, t, error, spread, count, *more = row
    centres, mean, deviation = _numbers(t), _numbers(error), _numbers(spread)
    counted = np.frombuffer(_bytes(count), np.int64)
    added = [None if blob is None else _numbers(blob) for blob in more]
    parts = (centres, mean, deviation, counted, *added)
    if len({len(values) for values in parts if values is not None}) != 1:
        raise ValueError("the bins are not the same in all columns")
    return TimestepRecord(_whole(step), centres, mean, deviation, counted, *added)


def _numbers(blob: object) -> NDArray[np.float64]:
    return np.frombuffer(_bytes(blob), np.float64)


def _bytes(blob: object) -> bytes:
    """
    Raises:
        TypeError: it is no blob.
    """
    if not isinstance(blob, bytes):
        raise TypeError(f"{type(blob).__name__} is no blob")
    return blob


def _measures(row: Row) -> tuple[int, Quality]:
    """(step, measures); those that a newer version added are left out."""
    content = json.loads(str(row[1]))
    values = {name.name: content[name.name] for name in fields(Quality) if name.name in content}
    if not all(isinstance(value, int | float) for value in values.values()):
        raise TypeError("a measure is no number")
    return _whole(row[0]), Quality(**values)

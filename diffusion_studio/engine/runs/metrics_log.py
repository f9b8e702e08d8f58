"""metrics.jsonl of a run: what its database gets, a line of JSON each, and only ever appended.

It is read where a database is not: on another machine, over a network folder, in a script.

    {"kind": "start", "segment": 1, "step": 0, "at": 1764342000.0}
    {"kind": "device", "segment": 1, "step": 0, "message": "CPU · 2 parts × 1 thread"}
    {"kind": "loss", "segment": 1, "step": 1, "loss": 0.98}
    {"kind": "errors", "segment": 1, "step": 40, "t": [...], "error": [...], ...}
    {"kind": "quality", "segment": 1, "step": 40, "fd": 12.5, ...}
    {"kind": "objective", "segment": 1, "step": 41, "message": "weight: ..."}
    {"kind": "end", "segment": 1, "step": 400, "outcome": "done", "message": "Step 400, everything is saved."}
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.engine.files.figures import finite
from diffusion_studio.engine.files.reading import ANY_SIZE, inside, regular
from diffusion_studio.engine.runs.metrics import TimestepRecord
from diffusion_studio.engine.runs.quality import Quality

ERRORS_EVERY = 20.0  # seconds between two lines with all errors by t, which are long
END = "end"  # the kind of the last line of a training that was not killed
_TAIL = 1 << 16  # bytes at the end in which the last line is looked for
_RECENT = 1 << 20  # bytes at the end that are read first
_FIRST = 128  # bytes at the beginning, with the time at which the run was begun
_MOST_STEPS = 1 << 53  # and then some: a number of any size is JSON


class MetricsLog:
    """The writer; one per training. Lines wait until they are flushed.

    Args:
        path: of the file; one that is there is added to.
        first_step: where the training begins or goes on.
        segment: number of this start of the training; None: one more than the file knows.

    Raises:
        OSError: the file cannot be written, or is none of its folder's own.
    """

    def __init__(self, path: Path, first_step: int, segment: int | None = None) -> None:
        self._path, self._failed = path, False  # whether the last flush did
        self._file: BinaryIO = inside(path.parent, path.name).open("ab", buffering=0)
        self.segment = _last_segment(path) + 1 if segment is None else segment
        self._lines: list[str] = []
        self._told_errors, self._errors_step = -math.inf, -1
        if _is_cut(path):  # a process was killed in the middle of a line
            self._file.write(b"\n")
        self._add("start", first_step, {"at": time.time()})
        self.flush()

    def losses(self, first_step: int, losses: NDArray[np.float32]) -> None:
        """The losses of consecutive steps; a line of them is put together by hand, there are so many."""
        for step, loss in enumerate(losses.tolist(), start=first_step):
            value = repr(loss) if math.isfinite(loss) else "null"
            self._lines.append(f'{{"kind":"loss","segment":{self.segment},"step":{step},"loss":{value}}}')

    def errors(self, record: TimestepRecord, last: bool = False) -> None:
        """Errors by timestep, if the last ones were long ago."""
        now = time.perf_counter()
        if record.step == self._errors_step or (not last and now - self._told_errors < ERRORS_EVERY):
            return
        self._told_errors, self._errors_step = now, record.step
        arrays = {f.name: getattr(record, f.name) for f in fields(record) if f.name != "step"}
        self._add("errors", record.step, {k: v.tolist() for k, v in arrays.items() if v is not None})

    def quality(self, step: int, quality: Quality) -> None:
        """The measures of the samples drawn at a step."""
        self._add("quality", step, {k: v for k, v in asdict(quality).items() if not math.isnan(v)})

    def note(self, step: int, kind: str, message: str) -> None:
        """Marks something that happened at a step."""
        self._add(kind, step, {"message": message})

    def _add(self, kind: str, step: int, values: dict[str, Any]) -> None:
        line = {"kind": kind, "segment": self.segment, "step": step} | values
        self._lines.append(json.dumps(finite(line), separators=(",", ":")))

    def flush(self) -> None:
        """Appends what waits.

        Raises:
            OSError: the disk is full or gone; the lines wait on.
        """
        if not self._lines:
            return
        if self._failed:
            self._open_again()
        self._failed = True
        size = os.fstat(self._file.fileno()).st_size
        try:
            _write_all(self._file, "".join(f"{line}\n" for line in self._lines).encode("ascii"))
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(size)  # no half lines
            raise
        self._lines, self._failed = [], False

    def _open_again(self) -> None:
        """What leads into a folder of a network that was away may lead nowhere."""
        how = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)  # one that is gone is not made anew
        found = os.fdopen(os.open(inside(self._path.parent, self._path.name), how), "ab", buffering=0)
        with contextlib.suppress(OSError):
            self._file.close()
        self._file = found

    @property
    def is_deleted(self) -> bool:
        """Whether somebody has deleted the file since, as far as the disk says so."""
        with contextlib.suppress(OSError):
            return os.fstat(self._file.fileno()).st_nlink == 0
        return False

    def close(self, step: int, outcome: str = "done", message: str = "") -> None:
        """Ends the file at the newest step.

        Args:
            outcome: done, stopped or failed; lines of older versions have none.
            message: how the training ended, for a person.
        """
        self._add(END, step, {"outcome": outcome} | ({"message": message} if message else {}))
        with contextlib.suppress(OSError):
            self.flush()
        self._file.close()


class MetricsTail:
    """Reads what is appended to a metrics.jsonl, first its newest lines and then what is new.

    Lines that are no such lines are passed over, a last one without an end waits for it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = -1  # where to read on; −1: nothing was read yet
        self._rest = self._begins = b""
        self.is_other = False  # whether the file of another run has come into its place

    def new(self) -> list[dict[str, Any]]:
        """The lines since the last time; none, where the file cannot be read now."""
        try:
            with regular(inside(self._path.parent, self._path.name), ANY_SIZE).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                begins = file.read(_FIRST)
                self.is_other |= not are_of_one_run(self._begins, begins)
                self._begins = begins
                if self._at < 0 or size < self._at:
                    self._at, self._rest = max(0, size - _RECENT), b""
                file.seek(self._at)
                found = self._rest + file.read(size - self._at)
        except OSError:
            return []
        self._at = size
        *whole, self._rest = found.split(b"\n")
        return [line for line in map(_line, whole) if line is not None]


def beginning(path: Path) -> bytes:
    """How a file begins, which says when; nothing where it cannot be read."""
    with contextlib.suppress(OSError), regular(inside(path.parent, path.name), ANY_SIZE).open("rb") as file:
        return file.read(_FIRST)
    return b""


def are_of_one_run(before: bytes, after: bytes) -> bool:
    """Whether a file that began like this, as far as it went then, may be the one that begins like that."""
    return before[: len(after)] == after[: len(before)]


def newest_line(path: Path, kind: str) -> dict[str, Any] | None:
    """The newest line of a kind since the training was last begun, however many came after it; None where
    there is none to be read. The file is read from its end, a piece at a time.
    """
    wanted, start = (f'\n{{"kind":"{each}"'.encode("ascii") for each in (kind, "start"))
    with contextlib.suppress(OSError), regular(inside(path.parent, path.name), ANY_SIZE).open("rb") as file:
        for lines in _from_the_end(file):
            at, begun = lines.rfind(wanted), lines.rfind(start)
            if at >= 0 and at >= begun:
                return _line(lines[at + 1 : lines.index(b"\n", at + 1)])
            if begun >= 0:
                return None
    return None


def _from_the_end(file: BinaryIO) -> Iterator[bytes]:
    """Whole lines, the last ones first, with the end of the line before them; one without an end is left out,
    and so is one that is longer than a piece.
    """
    at, cut = file.seek(0, os.SEEK_END), b""
    while at > 0:
        begin = max(0, at - _RECENT)
        file.seek(begin)
        piece, at = file.read(at - begin) + cut, begin
        if at == 0:
            piece = b"\n" + piece
        first, last = piece.find(b"\n"), piece.rfind(b"\n")
        if first >= 0:
            yield piece[first : last + 1]
        cut = piece[: first + 1] if 0 <= first < _RECENT else b""


def _line(text: bytes) -> dict[str, Any] | None:
    """A line of such a file, or None for anything else."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict) or not isinstance(line.get("kind"), str):
        return None
    step, loss = line.get("step"), line.get("loss") if line["kind"] == "loss" else None
    if not isinstance(step, int) or abs(step) > _MOST_STEPS or not isinstance(loss, float | int | None):
        return None
    try:
        float(loss or 0)
    except OverflowError:
        return None
    return dict(line)


def _write_all(file: BinaryIO, data: bytes) -> None:
    """An unbuffered file may take less than it is given."""
    while data:
        data = data[file.write(data) :]


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
        return file.read()


def _is_cut(path: Path) -> bool:
    tail = _tail(path)
    return bool(tail) and not tail.endswith(b"\n")


def _last_segment(path: Path) -> int:
    """Number of the newest start of the training that the file knows; 0 without any."""
    for line in reversed(_tail(path).splitlines()):
        with contextlib.suppress(ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return int(json.loads(line)["segment"])
    return 0

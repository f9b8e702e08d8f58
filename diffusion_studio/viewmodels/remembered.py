"""What the window remembers from one start to the next, also after a crash."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.files.files import to_json, write_atomically
from diffusion_studio.engine.files.reading import MOST_JSON, parsed, regular

log = logging.getLogger(__name__)
DELAY = 500  # ms from a change to the disk
TICK = 33  # ms from one look at what is being written to the next
_BEFORE = "toy"  # what the plane was called until version 0.1


class Memory(QObject):
    """A small JSON file, written half a second after the last change. A damaged one starts afresh.

    Attributes:
        problem: why it starts afresh, as a sentence; or nothing.
    """

    refused = Signal(str)  # it cannot be written from now on, as a sentence; told once

    def __init__(self, path: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._path = path
        self._values, self.problem = _read(path)
        self._refused = False
        self._later: dict[str, Callable[[], Any]] = {}
        self._timer = QTimer(self, singleShot=True, interval=DELAY)
        self._timer.timeout.connect(self._write_beside)
        self._writing: Future[None] | None = None
        self._looking = QTimer(self, interval=TICK)
        self._looking.timeout.connect(self._look)

    def get(self, key: str, default: Any = None) -> Any:
        self._put_into_words()
        return self._values.get(key, default)

    def set_later(self, key: str, words: Callable[[], Any]) -> None:
        """The value that `words` gives when the file is written: for what changes many times a second."""
        self._later[key] = words
        self._timer.start()

    def set(self, key: str, value: Any) -> None:
        if self._values.get(key) != value:
            self._values[key] = value
            self._timer.start()

    def flush(self) -> None:
        """Writes now, and waits for it; a disk that refuses only costs the layout."""
        self._timer.stop()
        self._end()
        self._begin()
        self._end()

    def _write_beside(self) -> None:
        """The window does not wait for the disk: what is set while it writes is written after it."""
        if self._writing is None:
            self._begin()
            self._looking.start()
        else:
            self._timer.start()

    def _begin(self) -> None:
        """Writes all that is set by now, in a thread of its own."""
        self._put_into_words()
        try:
            content = to_json(self._values, None)  # without lines, which take ten times as long
        except ValueError as error:  # text that is no Unicode
            self._heard(error)
            return
        executor = ThreadPoolExecutor(1, "memory")
        self._writing = executor.submit(_write, self._path, content)
        executor.shutdown(wait=False)

    def _look(self) -> None:
        if self._writing is not None and self._writing.done():
            self._end()

    def _end(self) -> None:
        """Waits for the writing that goes on, if any, and hears what came of it."""
        self._looking.stop()
        writing, self._writing = self._writing, None
        if writing is not None:
            try:
                writing.result()
            except (OSError, ValueError) as error:  # ValueError: no name of a file
                self._heard(error)
            else:
                self._refused = False

    def _heard(self, error: OSError | ValueError) -> None:
        log.warning("The window's settings could not be saved: %s", error)
        self._tell_of(error)

    def _tell_of(self, error: OSError | ValueError) -> None:
        if not self._refused:
            self._refused = True
            reason = error.strerror if isinstance(error, OSError) else tr("a name in it is no text")
            self.refused.emit(
                tr(
                    "{path} cannot be written ({reason}): what is set is lost at the end.",
                    path=self._path,
                    reason=reason,
                )
            )

    def _put_into_words(self) -> None:
        while self._later:
            key, words = self._later.popitem()
            self._values[key] = words()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)


def glance(path: Path, key: str) -> Any:
    """One value of the file, if it can be read, without keeping it."""
    return _read(path)[0].get(key)


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """The values, and why there are none though there is a file, as a sentence."""
    try:
        values = parsed(regular(path, MOST_JSON).read_bytes())
    except FileNotFoundError:
        return {}, ""
    except (OSError, Refused) as error:
        reason = str(error.strerror or error) if isinstance(error, OSError) else str(error)
        return {}, tr(
            "What the window remembered cannot be read ({reason}), so it begins afresh.", reason=reason
        )
    if not isinstance(values, dict):
        return {}, tr("What the window remembered makes no sense, so it begins afresh.")
    return _renamed(values), ""


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    """What an earlier version remembered, under today's names."""
    if _BEFORE in values:
        values.setdefault("plane", values.pop(_BEFORE))
    if values.get("page") == _BEFORE:
        values["page"] = "plane"
    return values

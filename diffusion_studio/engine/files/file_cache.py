"""What was read of a file, kept until the file is another one."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

V = TypeVar("V")
MOST = 4096  # files of which something is kept
SETTLED = 2 * 10**9  # ns: in less a file may change again and bear the same time, on FAT for two seconds
_Version = tuple[int, int, int, int, int]


class FileCache(Generic[V]):
    """Values that follow from one file each; lists of runs are asked for at every turn of the window.

    A file is the same as long as its place on the disk, its size and both its times are. What is read of one
    that was changed a moment ago is not kept, nor is a refusal. Any thread may ask. Values are shared: they
    must not be changed.
    """

    def __init__(self) -> None:
        self._found: OrderedDict[Path, tuple[_Version, V]] = OrderedDict()

    def of(self, file: Path, read: Callable[[], V]) -> V:
        """What `read` gave for this file as it is now; it is called where that is not known."""
        version = _version(file)
        known = self._found.get(file)
        if known is not None and known[0] == version:
            return known[1]
        value = read()
        if version is not None and _is_settled(version) and version == _version(file):
            self._found[file] = (version, value)
            while len(self._found) > MOST:
                self._found.popitem(last=False)
        else:
            self._found.pop(file, None)
        return value


def _version(file: Path) -> _Version | None:
    """What changes with the file; None where there is none."""
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_settled(version: _Version) -> bool:
    """Whether the file was changed long enough ago that another change would bear another time."""
    return version[3] < time.time_ns() - SETTLED

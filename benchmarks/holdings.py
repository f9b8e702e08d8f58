"""What a process holds in memory, by who asked for it: where a growth comes from can be seen afterwards.

glibc's own heap, free or in use; what it fetched by itself for one large piece; other anonymous memory
(Python's small objects, stacks of threads, what libraries map); files that are mapped (libraries, weights).
Linux alone.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

MB = 1e6
LARGE = 4.0  # MB
PAGE = 4096
_FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks")


class _Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (*_FIELDS, "keepcost")]


@dataclass(frozen=True)
class Holdings:
    """Memory of this process, MB; of objects their number.

    Args:
        total: all that lies in the machine's memory.
        heap: of it, glibc's heap.
        used: what somebody asked of glibc and did not give back, wherever it lies.
        free: what was given back and kept, whether it is in the machine's memory or not.
        top: of what is free, the piece at the heap's end.
        pieces: what glibc fetched by itself for one large piece each.
        anonymous: other memory without a file, those pieces among it.
        files: mapped files.
        blocks: Python's objects and other small pieces.
        looked_for: objects that Python looks through for rings.
        passed_over: objects that it does not.
        largest: of what is mapped, what has more than 4 MB.
    """

    total: float
    heap: float
    used: float
    free: float
    top: float
    pieces: float
    anonymous: float
    files: float
    blocks: int
    looked_for: int
    passed_over: int
    largest: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def resident() -> float:
    """MB of this process in the machine's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / MB


def holdings() -> Holdings:
    """What this process holds now."""
    by = mapped()
    heap = by.get("[heap]", 0.0)
    info = _info()
    files = sum(size for name, size in by.items() if name.startswith("/"))
    return Holdings(
        total=sum(by.values()),
        heap=heap,
        used=info.uordblks / MB,
        free=info.fordblks / MB,
        top=info.keepcost / MB,
        pieces=info.hblkhd / MB,
        anonymous=sum(by.values()) - heap - files,
        files=files,
        blocks=sys.getallocatedblocks(),
        looked_for=sum(len(gc.get_objects(generation)) for generation in range(3)),
        passed_over=gc.get_freeze_count(),
        largest={name: size for name, size in by.items() if size > LARGE},
    )


def mapped() -> dict[str, float]:
    """MB in the machine's memory of each mapped file, and of what has no file by its kind."""
    found: Counter[str] = Counter()  # of kB
    name = ""
    for line in Path("/proc/self/smaps").read_text().splitlines():
        words = line.split(maxsplit=5)
        if "-" in words[0] and not words[0].endswith(":"):
            name = words[5] if len(words) > 5 else "anonymous"
        elif words[0] == "Rss:":
            found[name] += int(words[1])
    return {name: kilo * 1024 / MB for name, kilo in found.most_common()}


def _info() -> _Info:
    found: _Info = _asked()()
    return found


@cache
def _asked() -> Any:
    library = ctypes.CDLL(None)
    library.mallinfo2.restype = _Info
    return library.mallinfo2

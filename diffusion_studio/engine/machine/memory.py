"""Memory that is kept for the next call, and running out of it, whoever notices."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from functools import cache

from diffusion_studio.core.words import tr

# M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD in bytes
_KEPT = ((-1, 1 << 29), (-2, 1 << 26), (-3, 1 << 25))
_ARENA_MAX = -8  # M_ARENA_MAX: how many heaps there are at most
PATIENCE = 10.0  # seconds between two times at which what is kept is given back
TOO_MUCH = tr("There is not enough memory for this. Ask for fewer images, or close other programs.")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, torch or a graphics card found no room; the libraries differ in how they say so."""
    text = f"{type(error).__name__} {error}".lower()
    said = any(words in text for words in ("outofmemory", "out of memory", "can't allocate memory"))
    return said or isinstance(error, MemoryError)


@cache
def keep_freed_memory() -> bool:
    """Tells the C library to keep memory that a network gives back, for it asks for the same again at once.

    glibc returns it to the system after every call and fetches it page by page in the next: a fifth of the
    time of a small U-Net. It also keeps up to eight heaps for each processor, each with holes of its own.
    With one for all, threads that compute parts of a batch wait for each other at every tensor; two for each
    processor, and two more, are enough for those that compute and those beside. Other libraries are left as
    they are.

    Returns:
        Whether it was done.
    """
    if not sys.platform.startswith("linux"):
        return False
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    heaps = 2 * len(os.sched_getaffinity(0)) + 2
    return tune is not None and all(tune(*option) == 1 for option in (*_KEPT, (_ARENA_MAX, heaps)))


class Kept:
    """What the C library keeps for the next call.

    Work of many kinds, one after another, leaves more and more holes in each heap; so whole pages in them are
    given back now and then. The next call fetches them again, which takes some hundredths of a second.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._given = clock()

    def give_back(self) -> bool:
        """Gives free pages back to the system, if that was not done lately; whether it was tried now."""
        now = self._clock()
        if now - self._given < PATIENCE or not keep_freed_memory():
            return False
        self._given = now
        ctypes.CDLL(None).malloc_trim(0)
        return True


kept = Kept()
"""Of this process."""

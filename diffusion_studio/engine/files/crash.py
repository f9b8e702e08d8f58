"""A crash of the program leaves where all its threads were, and the next start finds it."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager

from diffusion_studio.engine.files import places

NAME, BEFORE = "crash.txt", "crash-before.txt"


@contextmanager
def crash_kept() -> Iterator[str]:
    """Should the program crash meanwhile, where all threads were goes into a file of the log folder.

    Yields what the last crash left there, or nothing. Where there can be no file, all works the same.
    """
    left = _taken()
    try:
        places.log_dir().mkdir(parents=True, exist_ok=True)
        file = (places.log_dir() / NAME).open("ab")
    except OSError:
        yield left
        return
    with file:
        faulthandler.enable(file)
        try:
            yield left
        finally:
            faulthandler.disable()


def _taken() -> str:
    """What the last crash wrote; it lies under another name from now on, and is told once."""
    path = places.log_dir() / NAME
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        if text:
            path.replace(path.with_name(BEFORE))
    except OSError:
        return ""
    return text

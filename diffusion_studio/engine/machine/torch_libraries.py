"""The libraries of torch on Windows, which must be there before those of Qt. Standard library only."""

from __future__ import annotations

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path

FIRST = "c10.dll"  # it brings the newer of two C++ libraries along; Qt brings an older one


def load_first(platform: str = sys.platform) -> bool:
    """Loads what torch could not load any more once Qt is there (WinError 1114); torch itself comes later.

    Returns:
        Whether there was something to load, and it could be.
    """
    spec = find_spec("torch") if platform == "win32" else None
    if spec is None or spec.origin is None:
        return False
    library = Path(spec.origin).parent / "lib" / FIRST
    if not library.is_file():
        return False
    try:
        ctypes.CDLL(str(library))
    except OSError:
        return False  # torch will say so itself
    return True

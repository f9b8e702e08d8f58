"""Whether the window's library is installed: the engine's tests must run without it."""

from __future__ import annotations

from importlib.util import find_spec

QT_TIERS = ("gui", "viewmodels", "end_to_end")


def has_qt() -> bool:
    try:
        return find_spec("PySide6.QtCore") is not None
    except ImportError:
        return False

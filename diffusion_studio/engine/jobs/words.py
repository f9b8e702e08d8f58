"""Times in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """ "12 s", "3 min 32 s", "1 h 05 min": as wide from one second to the next."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def length(seconds: float) -> str:
    """The same without a rest of nothing: "3 min", "1 h"."""
    return duration(seconds).removesuffix(" 00 s").removesuffix(" 00 min")


def roughly(seconds: float) -> str:
    """As finely as an estimate is worth, never nothing: "45 s", "2 min 10 s", "40 min", "3 h 20 min"."""
    grain = 1 if seconds < 60 else 10 if seconds < 600 else 60 if seconds < 3600 else 600
    return length(max(1, grain * round(seconds / grain)))

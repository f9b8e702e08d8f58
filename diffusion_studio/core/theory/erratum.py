"""What a slip of a reference is: as printed, corrected, and the numbers that decide it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Deciding:
    """One number, as printed, corrected, and what it must be."""

    what: str
    printed: float
    corrected: float
    truth: float


def undecided() -> tuple[Deciding, ...]:
    """Of a slip that words settle."""
    return ()


@dataclass(frozen=True)
class Erratum:
    """One slip of a reference."""

    key: str
    place: str  # Stratos eq. 25
    title: str
    printed: str  # LaTeX
    corrected: str  # LaTeX
    why: str  # a paragraph
    truth: str = ""  # what the last column is
    numbers: Callable[[], tuple[Deciding, ...]] = undecided

"""What can be found by its name, and which of it fits what a person typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Entry:
    """One thing that can be found and done."""

    title: str
    kind: str  # "Run", "Sampler", the menu of an action
    do: Callable[[], object]
    keys: str = ""
    about: str = ""  # what it does, in words that are not shown


def fitting(entries: Sequence[Entry], typed: str) -> list[Entry]:
    """The entries that every typed word fits, the best first; all of them for nothing typed.

    A word that begins the title fits best, then one that begins a word of it, then one inside title or kind,
    then one that begins a word of what it does, and last letters that stand in the title in this order.
    """
    words = typed.casefold().split()
    rated = [
        (worst, number) for number, entry in enumerate(entries) if (worst := _rating(entry, words)) < _NOT
    ]
    return [entries[number] for _, number in sorted(rated)]


_NOT = 5


def _rating(entry: Entry, words: Sequence[str]) -> int:
    """0 for the best; that of the word that fits worst."""
    title, kind, about = (text.casefold() for text in (entry.title, entry.kind, entry.about))
    return max((_fit(word, title, kind, about) for word in words), default=0)


def _fit(word: str, title: str, kind: str, about: str) -> int:
    if title.startswith(word):
        return 0
    if any(part.startswith(word) for part in title.split()):
        return 1
    if word in title or kind.startswith(word):
        return 2
    if any(part.startswith(word) for part in about.split()):
        return 3
    return 4 if _in_order(word, title) else _NOT


def _in_order(letters: str, text: str) -> bool:
    """Whether all letters stand in the text, one after the other."""
    rest = iter(text)
    return all(letter in rest for letter in letters)

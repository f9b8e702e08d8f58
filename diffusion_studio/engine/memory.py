"""Running out of memory, whoever notices it."""

from __future__ import annotations

TOO_MUCH = "There is not enough memory for this. Ask for fewer images, or close other programs."


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, torch or a graphics card found no room; the libraries differ in how they say so."""
    text = f"{type(error).__name__} {error}".lower()
    said = any(words in text for words in ("outofmemory", "out of memory", "can't allocate memory"))
    return said or isinstance(error, MemoryError)

"""Large libraries, imported by one thread at a time.

A window computes on several threads, and the first that needs a network imports diffusers. While it does so,
another one that asks for a part of the same library can be handed a module that is not complete: diffusers
puts another module in its own place at the end, and where two threads wait for each other's modules, Python
gives out what is there rather than wait for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

_LOCK = RLock()


@contextmanager
def importing() -> Iterator[None]:
    """Around an import of torch's or diffusers' parts that is done when they are needed."""
    with _LOCK:
        yield

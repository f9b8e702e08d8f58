"""Large libraries, imported by one thread at a time; what Ctrl+C does meanwhile.

A window computes on several threads, and the first that needs a network imports diffusers. While it does so,
another one that asks for a part of the same library can be handed a module that is not complete: diffusers
puts another module in its own place at the end, and where two threads wait for each other's modules, Python
gives out what is there rather than wait for ever.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock, current_thread, main_thread

_LOCK = RLock()


@contextmanager
def importing() -> Iterator[None]:
    """Around an import of torch's or diffusers' parts that is done when they are needed."""
    with _LOCK:
        yield


@contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """Ctrl+C ends the process at once and without a word, as other signals do.

    For what has nothing to lose yet: Python would print where it was interrupted, or hear of it only at the
    end of a long call.
    """
    here = current_thread() is main_thread()
    if not here or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)

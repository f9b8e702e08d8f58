"""How long Python stops everything to look for objects that only refer to each other.

It looks through all objects there are, and torch alone brings 250,000: a fifth of a second in which the
window stands still. What was imported stays, so there is nothing to be found in it.
"""

from __future__ import annotations

import gc
import importlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LONG = 0.02  # seconds; a frame that is seen to be late
SHORT_TURN = 0.00005  # seconds; Python's own is 0.005
_BROUGHT = "torch._dynamo"
_begun = [0.0]


@contextmanager
def nothing_looked_for() -> Iterator[None]:
    """For imports: no such pause in them, and in a window none later for what they brought."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        if _after_a_long_one in gc.callbacks:  # a script that trains keeps Python's own ways
            gc.freeze()


def import_optimizers() -> None:
    """Imports, once, what every optimizer of torch asks for at its first step: 800 modules, a second.

    A window computes in many small steps, after each of which it has to wait for its turn; so turns are
    short meanwhile.
    """
    if _BROUGHT in sys.modules:
        return
    turn = sys.getswitchinterval()
    sys.setswitchinterval(SHORT_TURN)
    try:
        with nothing_looked_for():
            importlib.import_module(_BROUGHT)
    finally:
        sys.setswitchinterval(turn)


def pass_over_what_stays() -> None:
    """From now on Python looks only at younger objects; what survives a long look is passed over as well."""
    gc.freeze()
    if _after_a_long_one not in gc.callbacks:
        gc.callbacks.append(_after_a_long_one)


def _after_a_long_one(phase: str, details: dict[str, Any]) -> None:
    if phase == "start":
        _begun[0] = time.perf_counter()
    elif details["generation"] == 2 and time.perf_counter() - _begun[0] > LONG:
        gc.freeze()  # libraries were imported meanwhile

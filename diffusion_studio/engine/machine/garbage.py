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

from diffusion_studio.core.importing import importing

LONG = 0.02  # seconds; a frame that is seen to be late
SHORT_TURN = 0.00005  # seconds; Python's own is 0.005
_BROUGHT = "torch._dynamo"


class _LongLooks:
    """Told of every look. A long one, after modules were imported, is the last at what they brought.

    Only then: to pass over whatever makes a look long would keep a window's own objects for ever.
    """

    def __init__(self) -> None:
        self._begun = 0.0
        self._modules = len(sys.modules)

    def __call__(self, phase: str, details: dict[str, Any]) -> None:
        if phase == "start":
            self._begun = time.perf_counter()
        elif details["generation"] == 2 and time.perf_counter() - self._begun > LONG:
            self.freeze_imported()

    def freeze_imported(self) -> None:
        if len(sys.modules) > self._modules:
            self._modules = len(sys.modules)
            gc.freeze()


@contextmanager
def nothing_looked_for() -> Iterator[None]:
    """For imports: no such pause in them, and in a window none later for what they brought."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        for looks in _long_looks():  # a script that trains keeps Python's own ways
            looks.freeze_imported()


def import_optimizers() -> None:
    """Imports, once, what every optimizer of torch asks for at its first step: 800 modules, a second.

    A window computes in many small steps, after each of which it has to wait for its turn; so turns are
    short meanwhile.
    """
    with importing():  # what another thread has begun is in `sys.modules`, and not complete
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
    """From now on Python looks only at younger objects, and at those of later imports once at most.

    What is alive now must live as long as the window: of rings among it nothing is found.
    """
    look_at_all()
    gc.freeze()
    gc.callbacks.append(_LongLooks())


def look_at_all() -> None:
    """From now on Python looks at every object again: a window has closed and leaves rings behind."""
    gc.callbacks[:] = [found for found in gc.callbacks if not isinstance(found, _LongLooks)]
    gc.unfreeze()


def _long_looks() -> list[_LongLooks]:
    return [found for found in gc.callbacks if isinstance(found, _LongLooks)]

"""Other programs beside this one, as the helper threads of the matrix library feel them.

They meet at the end of every single operation. With a processor for each that takes microseconds; where other
programs keep the processors busy each meeting waits for a turn, some 16 ms, and one call of a network is
hundreds of operations: seconds instead of milliseconds (docs/adr/0007).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cache
from itertools import islice
from typing import TypeVar

import torch

from diffusion_studio.models import side_by_side

LEAST_ALONE = 64  # images in a part: with fewer, all processors together are as fast
LEAST_BESIDE = 2  # the same beside other programs
WAITED = 0.001  # seconds, of a meeting that waited for a turn
MEETINGS, ENOUGH = 20, 2  # how many are tried, and how many of them say that there is company
LOOK_AGAIN = 1.0  # seconds
GRAIN = 40_000  # numbers for which a thread is asked to help

T = TypeVar("T")


def asked(work: Callable[[slice], T], count: int, device: torch.device) -> list[T]:
    """`work` of `count` rows of a network that is asked without gradients, in as many parts as is fastest.

    In company no operation gets a helper thread; the parts meet once.
    """
    beside = device.type == "cpu" and company().is_here()
    parts = side_by_side.parts_for(count, device, LEAST_BESIDE if beside else LEAST_ALONE)
    rows = side_by_side.slices(count, parts)
    if not beside:
        return side_by_side.side_by_side(work, rows, device)
    with side_by_side.with_helpers(1):
        return side_by_side.side_by_side(work, rows, device, helpers=1)


class Company:
    """Whether helper threads have to wait; looked at once in a while."""

    def __init__(self) -> None:
        self._looked, self._here = -math.inf, False

    def is_here(self) -> bool:
        """Whether other programs make helper threads wait by now."""
        if side_by_side.PROCESSORS > 1 and time.perf_counter() - self._looked > LOOK_AGAIN:
            with side_by_side.with_helpers(side_by_side.PROCESSORS):
                late = (number for number in range(MEETINGS) if meeting() > WAITED)
                self._here = len(list(islice(late, ENOUGH))) == ENOUGH
            self._looked = time.perf_counter()
        return self._here


def meeting() -> float:
    """Seconds of an operation so small that its helper threads do little but meet."""
    began = time.perf_counter()
    torch.zeros(GRAIN * torch.get_num_threads())
    return time.perf_counter() - began


@cache
def company() -> Company:
    """What the whole program knows of it."""
    return Company()

"""A batch in parts, each worked on by a thread of its own.

The threads meet once, at the end. The helper threads of the matrix library meet at every single operation
instead, and where a program beside them keeps a processor busy, each of those meetings waits for the slowest
(docs/adr/0007).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import TypeVar

import torch

PROCESSORS = torch.get_num_threads()  # that tensor work may use: what the library or the person chose
LEAST = 4  # images in a part that is learned from: fewer are not worth a thread of their own

T = TypeVar("T")


def parts_for(count: int, device: torch.device, least: int = LEAST) -> int:
    """Into how many parts a batch of `count` is split: one for each processor, where that is worth it."""
    return max(1, min(PROCESSORS, count // least)) if device.type == "cpu" else 1


def slices(count: int, parts: int) -> list[slice]:
    """`count` rows in at most `parts` parts of nearly equal size, in order; none is empty."""
    parts = max(1, min(parts, count))
    edges = [count * number // parts for number in range(parts + 1)]
    return [slice(first, last) for first, last in pairwise(edges)]


def helpers_for(parts: Sequence[slice]) -> int:
    """How many threads an operation of one part has, and those of what is done between the parts."""
    return max(1, PROCESSORS // len(parts))


def side_by_side(
    work: Callable[[slice], T], parts: Sequence[slice], device: torch.device, helpers: int | None = None
) -> list[T]:
    """`work` of each part in order: at once on a processor, one after the other on other devices.

    A part that no thread has begun when the calling one is done with its own is worked on by that one. What
    raises in one part is raised here, once no other one computes any more.

    Args:
        helpers: threads of each operation of a part; None: as many as there are processors for.
    """
    return list(handed_on(work, parts, device, helpers))


def handed_on(
    work: Callable[[slice], T], parts: Sequence[slice], device: torch.device, helpers: int | None = None
) -> Iterator[T]:
    """As `side_by_side`, but each answer is handed on in its turn and not kept: where parts come one after
    the other, there is never more than one. While the turn is that of a part on another thread, the calling
    one works ahead, by at most as many parts as there are processors.
    """
    if at_once(len(parts), device) == 1:
        yield from map(work, parts)
        return
    helped = helpers or helpers_for(parts)
    alike = _like_here(work, helped)
    waiting = deque((_threads().submit(_for_good, helped, alike, part), part) for part in parts[1:])
    early: dict[Future[T], T] = {}  # answers of this thread whose turn has not come
    try:
        yield alike(parts[0])
        while waiting:
            first, _ = waiting[0]
            while not first.done() and len(early) < PROCESSORS:
                free = next((one for one in waiting if not one[0].cancelled() and one[0].cancel()), None)
                if free is None:
                    break
                early[free[0]] = alike(free[1])
            waiting.popleft()
            yield early.pop(first) if first in early else first.result()
    finally:
        _end(one for one, _ in waiting)


def at_once(parts: int, device: torch.device) -> int:
    """How many of so many parts are worked on at the same time."""
    return min(parts, PROCESSORS) if device.type == "cpu" else 1


def finer(count: int, parts: int, most: int, device: torch.device, processes: int = 1) -> int:
    """Into how many parts a batch that has no room in `parts` is split next; 0: no further, up to `most`.

    Args:
        processes: that share its rows, and its parts with them.
    """
    rows, own = -(-count // processes), -(-parts // processes)
    found = min(rows, most // processes, 2 * max(own, at_once(rows, device)))
    return min(count, found * processes) if found > own else 0


def _end(waiting: Iterable[Future[T]]) -> None:
    wait([other for other in waiting if not other.cancel()])


def _like_here(work: Callable[[slice], T], helpers: int) -> Callable[[slice], T]:
    """`work` with gradients or without, as it would be on the calling thread."""
    learns, infers = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def alike(part: slice) -> T:
        with with_helpers(helpers), torch.inference_mode(infers), torch.set_grad_enabled(learns):
            return work(part)

    return alike


def _for_good(helpers: int, work: Callable[[slice], T], part: slice) -> T:
    """`work` on a thread that does nothing else, which keeps its helpers for the next part."""
    use_helpers(helpers)
    return work(part)


def use_helpers(count: int) -> None:
    """The calling thread has so many threads for each operation from now on, itself among them.

    Nothing is said where it has them already: with every number that it is told, the library forgets how it
    had prepared convolutions, which costs a small network a twentieth of a step (docs/adr/0007).
    """
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


@contextmanager
def with_helpers(count: int) -> Iterator[None]:
    """As `use_helpers`, for as long as this lasts."""
    before = torch.get_num_threads()
    use_helpers(count)
    try:
        yield
    finally:
        use_helpers(before)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(PROCESSORS - 1, thread_name_prefix="part")

"""A batch in parts, each worked on by a thread of its own.

The threads meet once, at the end. The helper threads of the matrix library meet at every single operation
instead, and where a program beside them keeps a processor busy, each of those meetings waits for the slowest
(docs/adr/0007).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import TypeVar

import torch

PROCESSORS = torch.get_num_threads()  # that tensor work may use: what the library or the person chose
LEAST = 4  # images in a part that is learned from: fewer are not worth a thread of their own
LEAST_ASKED = 64  # the same without gradients: with fewer, all processors together are as fast by themselves

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


def side_by_side(work: Callable[[slice], T], parts: Sequence[slice], device: torch.device) -> list[T]:
    """`work` of each part in order: at once on a processor, one after the other on other devices.

    A part that no thread has begun when the calling one is done with its own is worked on by that one. What
    raises in one part is raised here, once no other one computes any more.
    """
    if len(parts) == 1 or device.type != "cpu" or PROCESSORS == 1:
        return [work(part) for part in parts]
    alike = _like_here(work, helpers_for(parts))
    waiting = [_threads().submit(alike, part) for part in parts[1:]]
    try:
        found = [alike(parts[0])]
        for part, other in zip(parts[1:], waiting, strict=True):
            found.append(alike(part) if other.cancel() else other.result())
    finally:
        _end(waiting)
    return found


def _end(waiting: Sequence[Future[T]]) -> None:
    wait([other for other in waiting if not other.cancel()])


def _like_here(work: Callable[[slice], T], helpers: int) -> Callable[[slice], T]:
    """`work` with gradients or without, as it would be on the calling thread."""
    learns, infers = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def alike(part: slice) -> T:
        with with_helpers(helpers), torch.inference_mode(infers), torch.set_grad_enabled(learns):
            return work(part)

    return alike


@contextmanager
def with_helpers(count: int) -> Iterator[None]:
    """The calling thread has so many threads for each operation, itself among them."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(PROCESSORS - 1, thread_name_prefix="part")

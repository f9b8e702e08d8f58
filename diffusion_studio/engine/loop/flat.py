"""Many tensors in one piece of memory, so that one operation goes through all of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from torch import Tensor

LINE = 16  # numbers: each tensor begins with a line of the cache, as one by itself does


class Flat:
    """Where tensors lie in one piece of memory, in the layout that each of them has; between them is 0.

    Args:
        tensors: of one type, each of them dense.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._like = tensors
        self._edges = [0, *accumulate(-(-x.numel() // LINE) * LINE for x in tensors)]

    def edge(self, count: int) -> int:
        """Where the first `count` tensors end."""
        return self._edges[count]

    def empty(self) -> Tensor:
        """Memory for all of them, filled with 0. (n,)"""
        return self._like[0].new_zeros(self._edges[-1])

    def places(self, whole: Tensor) -> list[Tensor]:
        """The place of each tensor in such memory, or in the beginning of it that reaches so far."""
        found = zip(self._like, self._edges, strict=False)
        return [whole.as_strided(x.shape, x.stride(), start) for x, start in found if start < len(whole)]

    def move(self, tensors: Sequence[Tensor]) -> Tensor:
        """Tensors like these live in one piece of memory from now on, which is returned. (n,)"""
        whole = self.empty()
        for tensor, place in zip(tensors, self.places(whole), strict=True):
            tensor.data = place.copy_(tensor.detach())
        return whole


def is_even(tensor: Tensor) -> bool:
    """Whether the vectors of a processor have no remainder, which is worked out a little differently.

    Only then the bits of an optimizer are the same, whatever lies beside the tensor.
    """
    return tensor.numel() % LINE == 0

"""One step of learning, the same for every network: an optimizer, and a running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from diffusion_studio.engine.loop.adamw import MOMENTS, AdamW
from diffusion_studio.engine.loop.flat import Flat, is_even
from diffusion_studio.engine.loop.muon import Muon
from diffusion_studio.engine.machine.garbage import import_optimizers

_FASTER = 20 / 3  # rate of Muon by rate of AdamW: its steps are measured in singular values
_APART = (
    "conv_in.",
    "conv_out.",
    "embedding.",
)  # its ends and tables are left to AdamW
_CLEARLY = 0.95  # share of the longest gradient up to which a quick sum of squares says that it is shorter

T = TypeVar("T")
Gradient = tuple[Tensor | None, ...]
"""Of each weight; None where it plays no part in the loss."""


class Descent:
    """Moves the weights of a network against their gradient, and their running average after them.

    A gradient that is not finite changes nothing; whether it is, is read on the device alone, if that is not
    the processor itself. On a processor the weights move into one piece of memory, and so do their gradient
    and the average: what goes through all of them is one operation there, with the same bits.

    Args:
        network: its weights are the start.
        average: a copy of it, which samples.
        muon: whether Muon moves the matrices inside the network, and AdamW the rest; else AdamW all.
    """

    def __init__(self, network: nn.Module, average: nn.Module, *, muon: bool = False) -> None:
        named = dict(network.named_parameters())
        self._names = list(named)
        self.weights: list[Tensor] = list(named.values())
        averages: list[Tensor] = list(average.parameters())
        import_optimizers()
        self._is_near = self.weights[0].device.type == "cpu"  # where reading a number costs nothing
        self._complete = self.weights[0].device.type in ("cpu", "cuda")
        self._one = torch.ones(())
        self._was_long = False  # whether the gradient before was about to be shortened, or was
        inner: list[Tensor] = [w for name, w in named.items() if muon and is_inner(name, w)]
        self._matrices = {id(w) for w in inner}  # those that Muon moves
        others = [w for w in self.weights if id(w) not in self._matrices]
        self._learned, self._averages = self.weights, averages  # one of each, where they lie together
        self._homes = {id(w): (w, 0) for w in self.weights}  # the tensor that an optimizer knows, and where
        if self._is_near:
            others = self._gathered(others, inner, dict(zip(map(id, self.weights), averages, strict=True)))
        self._adamw = AdamW(others)
        self._muon = Muon(inner) if inner else None

    def _gathered(
        self, others: list[Tensor], inner: list[Tensor], averages: Mapping[int, Tensor]
    ) -> list[Tensor]:
        """Moves everything into one piece of memory each; what AdamW is to move."""
        even, odd = [w for w in others if is_even(w)], [w for w in others if not is_even(w)]
        order = [*even, *odd, *inner]
        flat = Flat(order)
        whole, average = flat.move(order), flat.move([averages[id(w)] for w in order])
        self._gradient = flat.empty()
        for weight, place in zip(order, flat.places(self._gradient), strict=True):
            weight.grad = place
        self._places = [w.grad for w in self.weights if w.grad is not None]
        self._known = len(self.weights)  # how many have their gradient there
        whole.grad = self._gradient
        self._learned, self._averages = [whole], [average]
        if not even:
            return odd
        together = whole[: flat.edge(len(even))].requires_grad_()
        together.grad = self._gradient[: len(together)]
        self._homes |= {id(w): (together, flat.edge(number)) for number, w in enumerate(even)}
        return [together, *odd]

    @property
    def size(self) -> int:
        """How many numbers are learned."""
        return sum(w.numel() for w in self.weights)

    def backward(self, loss: Tensor) -> None:
        """The gradient of a loss, in the place of the one before."""
        self._lay(self.gradient(loss))

    def gradient(self, loss: Tensor, leaves: Sequence[Tensor] = ()) -> Gradient:
        """What a loss says of each weight, and of each of `leaves`; several threads may ask at once."""
        return torch.autograd.grad(loss, [*self.weights, *leaves], allow_unused=True)

    def take(self, parts: Iterable[Gradient], leaves: Sequence[Tensor] = ()) -> None:
        """The sum over the parts of a batch, added in pairs, in the place of the gradient before."""
        total = in_pairs(parts, _sum)
        for leaf, gradient in zip(leaves, total[len(self.weights) :], strict=True):
            leaf.grad = gradient
        self._lay(total[: len(self.weights)])

    def _lay(self, gradient: Gradient) -> None:
        """Each with its weight; on a processor in its place, where one that plays no part leaves 0."""
        if not self._is_near:
            for weight, said in zip(self.weights, gradient, strict=True):
                weight.grad = _laid(said, weight)
            return
        given = [each for each in gradient if each is not None]
        if len(given) == len(gradient) == self._known:  # each weight knows its place already
            torch._foreach_copy_(self._places, given)
            return
        self._gradient.zero_()
        self._known = len(given)
        pairs = list(zip(self._places, gradient, strict=True))
        torch._foreach_copy_([place for place, each in pairs if each is not None], given)
        for weight, (place, each) in zip(self.weights, pairs, strict=True):
            weight.grad = None if each is None else place

    def follow(self, rate: float, kept: float, clip: float = math.inf, weight_decay: float = 0.0) -> None:
        """One step along the gradient.

        Args:
            rate: learning rate.
            kept: how much of the running average is kept.
            clip: longest gradient that is followed; longer ones are shortened.
        """
        sound = self._shortened(clip)
        if sound is None:
            return
        before = [] if self._complete else [(moved, moved.clone()) for moved in self._moving()]
        skipped = None if self._is_near else 1 - sound
        self._adamw.step(rate, weight_decay, skipped)
        if self._muon is not None:
            _move(self._muon, rate * _FASTER, weight_decay, skipped)
        with torch.no_grad():
            for moved, old in before:  # the optimizer of Apple's GPUs skips nothing
                moved.copy_(torch.where(sound > 0, moved, old))
            if skipped is None:
                torch._foreach_lerp_(self._averages, self._learned, 1 - kept)
            else:
                torch._foreach_lerp_(self._averages, self._learned, [sound * (1 - kept)] * len(self._learned))

    def _shortened(self, clip: float) -> Tensor | None:
        """Makes the gradient no longer than `clip`; 1 where it is finite, else 0, or None on a processor."""
        if self._is_near and not self._was_long and self._is_short(clip):
            return self._one
        gradients = [weight.grad for weight in self.weights if weight.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients, foreach=self._complete)
        if self._is_near:
            self._was_long = bool(norm >= _CLEARLY * clip)  # so may the next be
            if not torch.isfinite(norm):
                return None
        if not self._is_near or norm > clip:  # dividing by one would go through all of them once more
            torch.nn.utils.clip_grads_with_norm_(self._learned, clip, norm, foreach=self._complete)
        return self._one if self._is_near else torch.isfinite(norm).float()

    def _is_short(self, clip: float) -> bool:
        """Whether it is finite and needs no shortening, however its squares are added up."""
        return float(torch.dot(self._gradient, self._gradient)) < (_CLEARLY * clip) ** 2

    def _moving(self) -> Iterator[Tensor]:
        """All that a step of AdamW changes: weights, and what it remembers of each."""
        for weight in self._adamw.weights:
            yield from (weight.detach(), *self._adamw.remembered(weight).values())

    def state(self) -> dict[str, Tensor]:
        """What the optimizers remember: "exp_avg.NAME", "exp_avg_sq.NAME", "step.NAME" or "momentum.NAME"."""
        return {
            f"{key}.{name}": known[key].clone() if key == "step" else _place(known[key], weight, start)
            for name, weight, keys, known, start in self._remembered()
            for key in keys
            if key in known
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from what they remembered; nothing, before the first step.

        Raises:
            KeyError, RuntimeError: it belongs to another network, or to another optimizer.
        """
        if not state:
            return
        for name, weight, keys, known, start in self._remembered():
            home = self._homes[id(weight)][0].detach()
            for key in keys:
                value = state[f"{key}.{name}"]
                if key == "step":
                    known[key] = value.to(weight.device)
                else:
                    _place(known.setdefault(key, torch.zeros_like(home)), weight, start).copy_(value)

    def _remembered(self) -> Iterator[tuple[str, Tensor, tuple[str, ...], dict[str, Tensor], int]]:
        """Name of each weight, itself, and what its optimizer remembers: names, tensors, where it begins."""
        for name, weight in zip(self._names, self.weights, strict=True):
            home, start = self._homes[id(weight)]
            if self._muon is not None and id(weight) in self._matrices:
                yield name, weight, ("momentum",), self._muon.state[home], start
            else:
                yield name, weight, MOMENTS, self._adamw.state[home], start


def in_pairs(parts: Iterable[T], add: Callable[[T, T], T]) -> T:
    """The sum of all, ((1 + 2) + (3 + 4)) + …, so that half of them have in it the sum that they have alone.

    Whoever shares out 2, 4, 8 … of them to as many processes or fewer comes to the same bits. At most one sum
    of each size is kept on the way.

    Args:
        parts: at least one; each is asked for when those before it are added.
    """
    sums: list[tuple[int, T]] = []
    for part in parts:
        size = 1
        while sums and sums[-1][0] == size:
            part = add(sums.pop()[1], part)
            size *= 2
        sums.append((size, part))
    _, total = sums.pop()
    while sums:
        total = add(sums.pop()[1], total)
    return total


def _sum(one: Gradient, other: Gradient) -> Gradient:
    """None where it is None in both: a weight plays a part in every part of a batch, or in none."""
    known = [number for number, said in enumerate(one) if said is not None]
    sums = torch._foreach_add([one[k] for k in known], [other[k] for k in known])  # type: ignore[misc]
    total = list(one)
    for number, found in zip(known, sums, strict=True):
        total[number] = found
    return tuple(total)


def _place(memory: Tensor, weight: Tensor, start: int) -> Tensor:
    """What belongs to a weight in such memory, in its layout."""
    return memory.as_strided(weight.shape, weight.stride(), start)


def _laid(gradient: Tensor | None, weight: Tensor) -> Tensor | None:
    """In the memory layout of its weight: an optimizer that finds another one takes a slower way."""
    if gradient is None or gradient.stride() == weight.stride():
        return gradient
    return torch.empty_like(weight.detach()).copy_(gradient)


def is_inner(name: str, weight: Tensor) -> bool:
    """Whether a weight is a matrix inside the network."""
    return weight.ndim > 1 and not any(part in name for part in _APART)


def _move(optimizer: Muon, rate: float, weight_decay: float, skipped: Tensor | None) -> None:
    """A step of Muon.

    Args:
        skipped: 1 where nothing is to change; None: known to be 0.
    """
    for group in optimizer.param_groups:
        group["lr"], group["weight_decay"] = rate, weight_decay
    if skipped is not None:
        optimizer.found_inf = skipped
    optimizer.step()

"""One step of learning, the same for every network: an optimizer, and a running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from diffusion_studio.engine.loop.muon import Muon
from diffusion_studio.engine.machine.garbage import import_optimizers

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # of AdamW
_FASTER = 20 / 3  # rate of Muon by rate of AdamW: its steps are measured in singular values
_APART = (
    "conv_in.",
    "conv_out.",
    "embedding.",
)  # its ends and tables are left to AdamW

Gradient = tuple[Tensor | None, ...]
"""Of each weight; None where it plays no part in the loss."""


class Descent:
    """Moves the weights of a network against their gradient, and their running average after them.

    A gradient that is not finite changes nothing; whether it is, is read on the device alone, if that is not
    the processor itself.

    Args:
        network: its weights are the start.
        average: a copy of it, which samples.
        muon: whether Muon moves the matrices inside the network, and AdamW the rest; else AdamW all.
    """

    def __init__(self, network: nn.Module, average: nn.Module, *, muon: bool = False) -> None:
        self._names = [name for name, _ in network.named_parameters()]
        self.weights: list[Tensor] = list(network.parameters())
        self._averages: list[Tensor] = list(average.parameters())
        import_optimizers()
        self._is_near = self.weights[0].device.type == "cpu"  # where reading a number costs nothing
        self._complete = self.weights[0].device.type in ("cpu", "cuda")
        inner = [w for name, w in network.named_parameters() if muon and _is_inner(name, w)]
        self._matrices = {id(w) for w in inner}  # those that Muon moves
        others = [w for w in self.weights if id(w) not in self._matrices]
        self.optimizer = torch.optim.AdamW(others, fused=True)  # rate and decay are set at each step
        self._muon = Muon(inner) if inner else None

    @property
    def optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        """What moves the weights, each its own."""
        return (self.optimizer,) if self._muon is None else (self.optimizer, self._muon)

    @property
    def size(self) -> int:
        """How many numbers are learned."""
        return sum(w.numel() for w in self.weights)

    def backward(self, loss: Tensor) -> None:
        """The gradient of a loss, in the place of the one before."""
        self.take([self.gradient(loss)])

    def gradient(self, loss: Tensor, leaves: Sequence[Tensor] = ()) -> Gradient:
        """What a loss says of each weight, and of each of `leaves`; several threads may ask at once."""
        return torch.autograd.grad(loss, [*self.weights, *leaves], allow_unused=True)

    def take(self, parts: Iterable[Gradient], leaves: Sequence[Tensor] = ()) -> None:
        """The sum over the parts of a batch, in their order, in the place of the gradient before."""
        coming = iter(parts)
        total = list(next(coming))
        known = [number for number, said in enumerate(total) if said is not None]
        for more in coming:
            sums = torch._foreach_add([total[k] for k in known], [more[k] for k in known])  # type: ignore[misc]
            for number, found in zip(known, sums, strict=True):
                total[number] = found
        for leaf, gradient in zip([*self.weights, *leaves], total, strict=True):
            leaf.grad = _laid(gradient, leaf)

    def follow(self, rate: float, kept: float, clip: float = math.inf, weight_decay: float = 0.0) -> None:
        """One step along the gradient.

        Args:
            rate: learning rate.
            kept: how much of the running average is kept.
            clip: longest gradient that is followed; longer ones are shortened.
        """
        gradients = [weight.grad for weight in self.weights if weight.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients, foreach=self._complete)
        if self._is_near and not torch.isfinite(norm):
            return
        if not self._is_near or norm > clip:  # dividing by one would go through all of them once more
            torch.nn.utils.clip_grads_with_norm_(self.weights, clip, norm, foreach=self._complete)
        sound = torch.isfinite(norm).float()  # 0 or 1
        before = [] if self._complete else [(moved, moved.clone()) for moved in self._moving()]
        skipped = None if self._is_near else 1 - sound
        _move(self.optimizer, rate, weight_decay, skipped)
        if self._muon is not None:
            _move(self._muon, rate * _FASTER, weight_decay, skipped)
        with torch.no_grad():
            for moved, old in before:  # the optimizer of Apple's GPUs skips nothing
                moved.copy_(torch.where(sound > 0, moved, old))
            torch._foreach_lerp_(self._averages, self.weights, [sound * (1 - kept)] * len(self.weights))

    def _moving(self) -> Iterator[Tensor]:
        """All that a step of AdamW changes: weights, and what it remembers of each."""
        for weight in self.optimizer.param_groups[0]["params"]:
            known = self.optimizer.state[weight]
            if not known:
                known |= {key: torch.zeros_like(weight.detach()) for key in _MOMENTS[:2]}
                known["step"] = weight.new_zeros((), dtype=torch.float32)
            yield from (weight.detach(), *known.values())

    def state(self) -> dict[str, Tensor]:
        """What the optimizers remember: "exp_avg.NAME", "exp_avg_sq.NAME", "step.NAME" or "momentum.NAME"."""
        return {
            f"{key}.{name}": known[key]
            for name, keys, known in self._remembered()
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
        weights = dict(zip(self._names, self.weights, strict=True))
        for name, keys, known in self._remembered():
            known.update({key: _placed(state[f"{key}.{name}"], key, weights[name]) for key in keys})

    def _remembered(self) -> Iterator[tuple[str, tuple[str, ...], dict[str, Tensor]]]:
        """Name of each weight, what its optimizer remembers of it by name, and where that is."""
        for name, weight in zip(self._names, self.weights, strict=True):
            if self._muon is not None and id(weight) in self._matrices:
                yield name, ("momentum",), self._muon.state[weight]
            else:
                yield name, _MOMENTS, self.optimizer.state[weight]


def _laid(gradient: Tensor | None, weight: Tensor) -> Tensor | None:
    """In the memory layout of its weight: an optimizer that finds another one takes a slower way."""
    if gradient is None or gradient.stride() == weight.stride():
        return gradient
    return torch.empty_like(weight.detach()).copy_(gradient)


def _is_inner(name: str, weight: Tensor) -> bool:
    """Whether a weight is a matrix inside the network."""
    return weight.ndim > 1 and not any(part in name for part in _APART)


def _move(optimizer: torch.optim.Optimizer, rate: float, weight_decay: float, skipped: Tensor | None) -> None:
    """A step of one optimizer.

    Args:
        skipped: 1 where nothing is to change; None: known to be 0.
    """
    for group in optimizer.param_groups:
        group["lr"], group["weight_decay"] = rate, weight_decay
    if skipped is not None:
        optimizer.found_inf = skipped  # type: ignore[attr-defined]
    optimizer.step()


def _placed(value: Tensor, key: str, weight: Tensor) -> Tensor:
    """On the device and in the memory layout of its weight."""
    if key == "step":
        return value.to(weight.device)
    return torch.empty_like(weight.detach()).copy_(value)

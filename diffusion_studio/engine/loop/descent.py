"""One step of learning, the same for every network: AdamW, and a running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from diffusion_studio.engine.machine.garbage import import_optimizers

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class Descent:
    """Moves the weights of a network against their gradient, and their running average after them.

    A gradient that is not finite changes nothing; whether it is, is read on the device alone.

    Args:
        network: its weights are the start.
        average: a copy of it, which samples.
    """

    def __init__(self, network: nn.Module, average: nn.Module) -> None:
        self._names = [name for name, _ in network.named_parameters()]
        self.weights: list[Tensor] = list(network.parameters())
        self._averages: list[Tensor] = list(average.parameters())
        import_optimizers()
        self._complete = self.weights[0].device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.AdamW(self.weights, fused=True)  # rate and decay are set at each step

    @property
    def size(self) -> int:
        """How many numbers are learned."""
        return sum(w.numel() for w in self.weights)

    def backward(self, loss: Tensor) -> None:
        """The gradient of a loss, in the place of the one before."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]

    def follow(self, rate: float, kept: float, clip: float = math.inf, weight_decay: float = 0.0) -> None:
        """One step along the gradient.

        Args:
            rate: learning rate.
            kept: how much of the running average is kept.
            clip: longest gradient that is followed; longer ones are shortened.
        """
        norm = torch.nn.utils.clip_grad_norm_(self.weights, clip, foreach=self._complete)
        for group in self.optimizer.param_groups:
            group["lr"], group["weight_decay"] = rate, weight_decay
        sound = torch.isfinite(norm).float()  # 0 or 1
        self.optimizer.found_inf = 1 - sound  # type: ignore[attr-defined]  # it skips where this is 1
        before = [] if self._complete else [(moved, moved.clone()) for moved in self._moving()]
        self.optimizer.step()
        with torch.no_grad():
            for moved, old in before:  # the optimizer of Apple's GPUs skips nothing
                moved.copy_(torch.where(sound > 0, moved, old))
            torch._foreach_lerp_(self._averages, self.weights, [sound * (1 - kept)] * len(self.weights))

    def _moving(self) -> Iterator[Tensor]:
        """All that a step changes: weights, and what the optimizer remembers of each."""
        for weight in self.weights:
            known = self.optimizer.state[weight]
            if not known:
                known |= {key: torch.zeros_like(weight.detach()) for key in _MOMENTS[:2]}
                known["step"] = weight.new_zeros((), dtype=torch.float32)
            yield from (weight.detach(), *known.values())

    def state(self) -> dict[str, Tensor]:
        """What the optimizer remembers: "exp_avg.NAME", "exp_avg_sq.NAME", "step.NAME"."""
        known = self.optimizer.state
        return {
            f"{key}.{name}": known[weight][key]
            for name, weight in zip(self._names, self.weights, strict=True)
            for key in _MOMENTS
            if known[weight]
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from what it remembered; nothing, before the first step.

        Raises:
            KeyError, RuntimeError: it belongs to another network.
        """
        if not state:
            return
        for name, weight in zip(self._names, self.weights, strict=True):
            self.optimizer.state[weight] = {
                key: _placed(state[f"{key}.{name}"], key, weight) for key in _MOMENTS
            }


def _placed(value: Tensor, key: str, weight: Tensor) -> Tensor:
    """On the device and in the memory layout of its weight."""
    if key == "step":
        return value.to(weight.device)
    return torch.empty_like(weight.detach()).copy_(value)

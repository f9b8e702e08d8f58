"""The network of a classifier, its optimizer and its running average: one training step."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from diffusion_studio.core.averaging import decay_at
from diffusion_studio.core.process.tables import Tables, diffuse
from diffusion_studio.engine.loop.descent import Descent, Gradient
from diffusion_studio.engine.training.batches import Batch
from diffusion_studio.models.noisy_classifier import ClassifierNetwork, NoisyClassifier, TrainedClassifier
from diffusion_studio.models.side_by_side import helpers_for, parts_for, side_by_side, slices, with_helpers

RAW, AVERAGE, OPTIMIZER = "raw.safetensors", "average.safetensors", "optimizer.safetensors"  # of a state
EMA = 0.999
WARMUP = 50
CLIP = 1.0


class ClassifierLearner:
    """Trains a classifier of x_t by its cross-entropy, averaged over t (Dhariwal & Nichol 2021, §4).

    Args:
        network: freshly built; its weights are the start.
        tables: the forward process.
    """

    def __init__(
        self, network: NoisyClassifier, tables: Tables, learning_rate: float, weight_decay: float,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.tables = tables
        self.device = device
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network.train()
        self._average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self._descent = Descent(self.network, self._average)
        self._rate, self._weight_decay = learning_rate, weight_decay
        self._alpha_bar = tables.alpha_bar.to(device=device, dtype=torch.float32)
        self._asked = ClassifierNetwork(self.network, tables)

    def parts(self, count: int) -> int:
        """Into how many parts a batch of `count` images is split."""
        return parts_for(count, self.device)

    def step(self, batch: Batch, number: int) -> Tensor:
        """One gradient step; a gradient that is not finite changes nothing. The mean loss, on the device.

        Args:
            number: how many steps came before.
        """
        parts = slices(len(batch.t), self.parts(len(batch.t)))
        with with_helpers(helpers_for(parts)):
            found = side_by_side(lambda rows: self._part(batch.part(rows), len(batch.t)), parts, self.device)
            self._descent.take([gradient for _, gradient in found])
            rate = self._rate * min(1.0, (number + 1) / WARMUP)
            self._descent.follow(rate, decay_at(number, EMA), CLIP, self._weight_decay)
        return torch.stack([loss for loss, _ in found]).sum()

    def _part(self, batch: Batch, count: int) -> tuple[Tensor, Gradient]:
        """What some of `count` images add to the mean loss, and its gradient."""
        assert batch.labels is not None
        x_t = diffuse(batch.x_0, batch.noise, self._alpha_bar[batch.t][:, None, None, None])
        logits = self._asked.predict(x_t.contiguous(memory_format=torch.channels_last), batch.t)
        loss = torch.nn.functional.cross_entropy(logits, batch.labels, reduction="sum") / count
        return loss.detach(), self._descent.gradient(loss)

    @property
    def parameter_count(self) -> int:
        return self._descent.size

    def classifier(self, classes: int) -> TrainedClassifier:
        """The averaged network as it stands; it moves on with the training."""
        return TrainedClassifier(self._average, self.tables, classes)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Raw weights, averaged weights and what the optimizer remembers."""
        return {
            RAW: self.network.state_dict(), AVERAGE: self._average.state_dict(),
            OPTIMIZER: self._descent.state(),
        }  # fmt: skip

    def restore(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Goes on from a state.

        Raises:
            KeyError, RuntimeError: it belongs to another network.
        """
        self.network.load_state_dict(dict(state[RAW]))
        self._average.load_state_dict(dict(state[AVERAGE]))
        self._descent.restore(state[OPTIMIZER])

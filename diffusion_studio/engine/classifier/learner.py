"""The network of a classifier, its optimizer and its running average: one training step."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from diffusion_studio.core.averaging import decay_at
from diffusion_studio.core.process.tables import Tables, diffuse
from diffusion_studio.engine.machine.garbage import import_optimizers
from diffusion_studio.engine.training.batches import Batch
from diffusion_studio.models.noisy_classifier import ClassifierNetwork, NoisyClassifier, TrainedClassifier

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
        self._weights: list[Tensor] = list(self.network.parameters())
        self._averages: list[Tensor] = list(self._average.parameters())
        self._rate = learning_rate
        import_optimizers()
        self._optimizer = torch.optim.AdamW(
            self._weights, lr=learning_rate, weight_decay=weight_decay, fused=True
        )
        self._alpha_bar = tables.alpha_bar.to(device=device, dtype=torch.float32)
        self._asked = ClassifierNetwork(self.network, tables)

    def step(self, batch: Batch, number: int) -> Tensor:
        """One gradient step; the mean loss, on the device.

        Args:
            number: how many steps came before.
        """
        assert batch.labels is not None
        x_t = diffuse(batch.x_0, batch.noise, self._alpha_bar[batch.t][:, None, None, None])
        logits = self._asked.predict(x_t.contiguous(memory_format=torch.channels_last), batch.t)
        loss = torch.nn.functional.cross_entropy(logits, batch.labels)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._weights, CLIP)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * min(1.0, (number + 1) / WARMUP)
        self._optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self._averages, self._weights, 1 - decay_at(number, EMA))
        return loss.detach()

    @property
    def parameter_count(self) -> int:
        return sum(p.numel() for p in self._weights)

    def classifier(self, classes: int) -> TrainedClassifier:
        """The averaged network as it stands; it moves on with the training."""
        return TrainedClassifier(self._average, self.tables, classes)

    def weights(self) -> dict[str, Tensor]:
        """The averaged weights by name."""
        return dict(self._average.state_dict())

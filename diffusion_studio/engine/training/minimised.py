"""What a training step minimises: the weighted error of the prediction, or the bound itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.devices import finest
from diffusion_studio.core.objective.elbo import Likelihood, discretised_log_likelihood, gaussian_kl
from diffusion_studio.core.objective.weights import (
    SNRDifferenceWeight,
    ddpm_elbo_weight,
    error_scale,
    reverse_variance,
)
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.engine.machine.ranks import Ranks
from diffusion_studio.engine.runs.config import ObjectiveSpec
from diffusion_studio.engine.training.batches import Batch
from diffusion_studio.engine.training.schedule_learner import DrawnNoise
from diffusion_studio.models.network import Output

HYBRID = 0.001  # share of L_vlb in L_hybrid (iDDPM eq. 16)


def _learned_weight(tables: Tables) -> Tensor:
    """½ (SNR(t−1)/SNR(t) − 1); at t = 1 the step to t = 2 stands in, as it does in training. (T+1,)"""
    weight = SNRDifferenceWeight().on_eps(tables)
    weight[1] = weight[2]
    return weight


def _factors(values: Tensor, device: torch.device) -> Tensor | None:
    """A factor for each t on the device, float32 (T+1,); None where it is 1 for all of them."""
    return None if bool((values[1:] == 1).all()) else values.to(device, torch.float32)


@dataclass(frozen=True, eq=False)
class StepResult:
    """What one step measured, on the device."""

    errors: Tensor  # ρ(ε − ε̂) per element of each sample, (B,)
    losses: Tensor  # weighted: λ_t times the error, or the term of the bound, (B,)
    correction: Tensor | None = None  # 1 / (T p_t), (B,)

    @property
    def minimised(self) -> Tensor:
        """What the step's loss is the mean of. (B,)"""
        return self.losses if self.correction is None else self.losses * self.correction

    def detached(self) -> StepResult:
        return StepResult(self.errors.detach(), self.losses.detach(), self.correction)

    def joined(self, rows: slice, whole: int, ranks: Ranks, gradients: Sequence[Tensor]) -> StepResult:
        """What all processes measured of a batch of `whole` images, of which `rows` were computed here; the
        gradients become the sums of theirs on the way.
        """
        found = [self.errors, self.losses, *([] if self.correction is None else [self.correction])]
        table = self.losses.new_zeros(len(found), whole)
        table[:, rows] = torch.stack(found).to(table.dtype)
        ranks.add([table, *gradients])
        return StepResult(*table)

    @staticmethod
    def of_parts(parts: Sequence[StepResult]) -> StepResult:
        """What all parts of a batch measured, in their order."""
        if len(parts) == 1:
            return parts[0]
        corrections = [part.correction for part in parts if part.correction is not None]
        return StepResult(
            torch.cat([part.errors for part in parts]),
            torch.cat([part.losses for part in parts]),
            torch.cat(corrections) if corrections else None,
        )


class Minimised:
    """The objective of a training as a function of batches and network outputs.

    Args:
        spec: prediction, loss, weight and learned variance.
        tables: the forward process.
        learned: whether the schedule is learned, so that the bound is minimised, whatever the weight.
        likelihood: ln p(x_0|x_1), of pixels or of codes.
    """

    def __init__(
        self, spec: ObjectiveSpec, tables: Tables, device: torch.device, learned: bool = False,
        likelihood: Likelihood = discretised_log_likelihood,
    ) -> None:  # fmt: skip
        self.spec, self._likelihood = spec, likelihood
        self.weight = _learned_weight(tables) if learned else spec.weight_for(tables)
        bound = spec.variance == "vlb"
        self.shown_weight = ddpm_elbo_weight(tables, reverse_variance(tables)) if bound else self.weight
        self._steps = tables.steps
        alpha_bar = tables.alpha_bar.to(torch.float64)
        self.root = alpha_bar.sqrt().to(device, torch.float32)  # √ᾱ_t  (T+1,)
        self.noise_root = (1 - alpha_bar).sqrt().to(device, torch.float32)  # √(1−ᾱ_t)  (T+1,)
        self._reading, scale = READINGS[spec.predict], error_scale(tables, spec.predict)
        self._scale = _factors(scale, device)
        self._square = _factors(scale**2, device)
        self._weight = _factors(self.weight, device)
        if spec.variance != "fixed":
            self._prepare_bound(tables, device)

    def _prepare_bound(self, tables: Tables, device: torch.device) -> None:
        clipped = reverse_variance(tables)
        self._alpha_bar = tables.alpha_bar.to(device, finest(device))
        self._log_small = clipped[1:].log().to(device, torch.float32)  # ln β̃_t, t = 1 … T
        self._log_large = tables.beta[1:].log().to(device, torch.float32)
        self._posterior = clipped[1:].to(device, torch.float32)
        before = tables.alpha_bar[:-1]
        gain = before.sqrt() * tables.beta[1:] / (1 - tables.alpha_bar[1:])
        self._gain = gain.to(device, torch.float32)

    def _roots(self, batch: Batch, drawn: DrawnNoise | None) -> tuple[Tensor, Tensor]:
        """(√ᾱ_t, √(1−ᾱ_t)), (B, 1, 1, 1); of a learned schedule with their gradients."""
        if drawn is not None:
            return drawn.roots
        a, b = (root[batch.t][:, None, None, None] for root in (self.root, self.noise_root))
        return a, b

    def noisy(self, batch: Batch, drawn: DrawnNoise | None = None) -> Tensor:
        """x_t. (B, C, H, W)"""
        a, b = self._roots(batch, drawn)
        return a * batch.x_0 + b * batch.noise

    def __call__(
        self, batch: Batch, x_t: Tensor, output: Output, drawn: DrawnNoise | None = None
    ) -> StepResult:
        """Errors and losses of a batch.

        Args:
            output: what the network said of x_t.
            drawn: ω of each sample, where the schedule is learned.
        """
        value, fraction = output
        errors = self._errors(batch, value, drawn)
        if drawn is not None:
            return StepResult(errors, errors * drawn.weight, batch.correction)
        losses = errors if self._weight is None else errors * self._weight[batch.t]
        if fraction is not None:
            losses = self._with_bound(losses, batch, x_t, value, fraction)
        return StepResult(errors, losses, batch.correction)

    def _errors(self, batch: Batch, value: Tensor, drawn: DrawnNoise | None) -> Tensor:
        """ρ(ε − ε̂) per element. (B,)"""
        a, b = self._roots(batch, drawn)
        difference = value - self._reading.target(batch.x_0, batch.noise, a, b)
        loss = self.spec.loss
        if drawn is not None:
            return (self._reading.scale(a, b) * difference).square().flatten(1).mean(1)
        if loss.is_squared:
            errors: Tensor = difference.square().flatten(1).mean(1)
            return errors if self._square is None else errors * self._square[batch.t]
        if self._scale is not None:
            difference = difference * self._scale[batch.t][:, None, None, None]
        return loss.of(difference).flatten(1).mean(1)

    def _with_bound(
        self, losses: Tensor, batch: Batch, x_t: Tensor, value: Tensor, fraction: Tensor
    ) -> Tensor:
        """L_hybrid or L_vlb of each sample. (B,)"""
        hybrid = self.spec.variance == "hybrid"
        bound = self._bound(batch, x_t, value.detach() if hybrid else value, fraction)
        return losses + HYBRID * bound if hybrid else bound

    def _bound(self, batch: Batch, x_t: Tensor, value: Tensor, fraction: Tensor) -> Tensor:
        """T times the term of the bound at t, in bits per dimension; its mean over t is L_vlb − L_T. (B,)"""
        index = (batch.t - 1)[:, None, None, None]
        log_variance = fraction * self._log_large[index] + (1 - fraction) * self._log_small[index]
        variance = log_variance.exp()
        x0_hat = Prediction(self.spec.predict, value, x_t, self._alpha_bar[index + 1]).x0_hat
        matching = gaussian_kl(self._gain[index] * (batch.x_0 - x0_hat), self._posterior[index], variance)
        first = -self._likelihood(batch.x_0, x0_hat, variance)
        nats = torch.where(index == 0, first, matching).flatten(1).mean(1)
        bits: Tensor = nats * (self._steps / math.log(2))
        return bits

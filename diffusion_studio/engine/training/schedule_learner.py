"""Trains a noise schedule beside its network: its ends by the bound, its inside by the variance (VDM)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffusion_studio.core.devices import finest
from diffusion_studio.core.objective.elbo import discretised_log_likelihood, gaussian_kl
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.engine.runs.checkpoints import checkpoint_step, list_checkpoints
from diffusion_studio.engine.runs.model_io import tables_of
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.batches import Batch
from diffusion_studio.models.snr import LearnedSNR, frozen

RATE = 3e-3
PREFIX = "snr."
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True, eq=False)
class LearnedCurve:
    """The schedule that a run has learned so far."""

    run: str  # its name
    step: int  # of the checkpoint
    tables: Tables

    def with_steps(self, steps: int) -> Tables:
        """The same ln SNR over (t−1)/(T−1), cut into another number of steps."""
        if steps == self.tables.steps:
            return self.tables
        known = np.linspace(0, 1, self.tables.steps)
        log_snr = np.interp(np.linspace(0, 1, steps), known, self.tables.log_snr[1:].numpy())
        return frozen(-torch.from_numpy(log_snr))


def learned_curve(run: Run) -> LearnedCurve | None:
    """The schedule in a run's newest checkpoint; None where the run learns none, or has not yet.

    Raises:
        CheckpointError: it cannot be read.
    """
    kept = list_checkpoints(run.checkpoint_folder)
    if not run.config.diffusion.schedule.learns or not kept:
        return None
    return LearnedCurve(run.name, checkpoint_step(kept[-1]), tables_of(kept[-1]))


@dataclass(frozen=True, eq=False)
class DrawnNoise:
    """ω of each sample as leaves, so that one backward pass tells what each loss says about its own ω."""

    now: Tensor  # ω_t, (B,)
    before: Tensor  # ω_{t−1}, (B,)

    @property
    def leaves(self) -> tuple[Tensor, Tensor]:
        return self.now, self.before

    def part(self, rows: slice) -> DrawnNoise:
        """Of some of the samples; what is said about it reaches the leaves."""
        return DrawnNoise(self.now[rows], self.before[rows])

    @property
    def roots(self) -> tuple[Tensor, Tensor]:
        """(√ᾱ_t, √(1−ᾱ_t)), float32 (B, 1, 1, 1)"""
        a, b = torch.sigmoid(-self.now).sqrt(), torch.sigmoid(self.now).sqrt()
        return a.float()[:, None, None, None], b.float()[:, None, None, None]

    @property
    def weight(self) -> Tensor:
        """½ (SNR(t−1)/SNR(t) − 1), float32 (B,)"""
        return (0.5 * torch.expm1(self.now - self.before)).float()


class ScheduleLearner:
    """The learned ω with its optimizer.

    Args:
        of_codes: whether the data are codes. Pixels of 8 bits hold the end at t = 1: noise far below a bin
            gains nothing. A density of any numbers has no such end (less noise never loses, and always gains
            where they fill fewer dimensions), so that it stays where it was put.
    """

    def __init__(self, snr: LearnedSNR, device: torch.device, of_codes: bool = False) -> None:
        self._of_codes = of_codes
        self.snr = snr.to(device=device, dtype=finest(device))
        self._optimizer = torch.optim.Adam(self.snr.parameters(), lr=RATE)
        self._omega = self._now = self._before = self._matching = torch.empty(0)

    def tables(self) -> Tables:
        """The schedule as it stands."""
        return self.snr.tables()

    def draw(self, t: Tensor) -> DrawnNoise:
        """ω at the times of a batch, and one step before; SNR(0) is infinite, so ω_0 is 2ω_1 − ω_2.

        The bound has T − 1 matching terms, t = 2 … T: what a network loses at t = 1 trains it, for chains
        end there, and says nothing of the schedule, which has the reconstruction in its place.
        """
        self._matching = t > 1
        self._now, self._before = self._at(self.snr(), t)
        return DrawnNoise(self._now.detach().requires_grad_(), self._before.detach().requires_grad_())

    def _at(self, omega: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(ω_t, ω_{t−1}) with their gradients. (B,)"""
        self._omega = omega
        longer = torch.cat([(2 * omega[0] - omega[1])[None], omega])  # ω_0 … ω_T
        return longer[t], longer[t - 1]

    def step(self, batch: Batch, drawn: DrawnNoise, losses: Tensor) -> None:
        """Follows what the backward pass of `losses.mean()` left on the leaves of `drawn`."""
        self.measure(batch, drawn, losses)
        self.follow()

    def measure(self, batch: Batch, drawn: DrawnNoise, losses: Tensor) -> None:
        """The gradient of the schedule, from what the backward pass left on the leaves of `drawn`.

        Where the batch is some rows of a whole one, it is their part of the gradient.
        """
        if drawn.now.grad is None or drawn.before.grad is None:
            return
        at_now, at_before = (torch.nan_to_num(g) for g in (drawn.now.grad, drawn.before.grad))
        own = torch.nan_to_num(losses.detach().to(self._now.dtype))
        change = (at_now * self._now + at_before * self._before) * self._matching  # of each sample's loss
        rest = self._rest(batch, self._omega) * (batch.share / self.snr.steps)
        inside = self.snr.inside
        gradients = torch.autograd.grad((2 * own * change).sum(), inside, retain_graph=True)
        (ends,) = torch.autograd.grad(change.sum() + rest, [self.snr.ends])
        if self._of_codes:
            ends[0] = 0
        for parameter, gradient in zip([*inside, self.snr.ends], [*gradients, ends], strict=True):
            parameter.grad = torch.nan_to_num(gradient)

    def follow(self) -> None:
        """One step along the gradient."""
        self._optimizer.step()

    @property
    def gradients(self) -> list[Tensor]:
        """Of each parameter that has one."""
        return [p.grad for p in self.snr.parameters() if p.grad is not None]

    def _rest(self, batch: Batch, omega: Tensor) -> Tensor:
        """Reconstruction and prior terms, nats per dimension; they depend on the ends alone."""
        x_0 = batch.x_0.to(omega.dtype)
        first, last = omega[0], omega[-1]
        alpha_bar = torch.sigmoid(-last)
        prior = gaussian_kl(alpha_bar.sqrt() * x_0, torch.sigmoid(last), torch.ones_like(last)).mean()
        if self._of_codes:  # their reconstruction moves the end at t = 1 alone
            return prior
        variance = torch.exp(first)  # (1−ᾱ_1)/ᾱ_1
        mean = x_0 + variance.sqrt() * batch.noise.to(omega.dtype)
        return prior - discretised_log_likelihood(x_0, mean, variance).mean()

    def state(self) -> dict[str, Tensor]:
        """Everything that continues it exactly."""
        found = {f"{PREFIX}{name}": p.detach() for name, p in self.snr.named_parameters()}
        for name, p in self.snr.named_parameters():
            for key in _MOMENTS:
                if self._optimizer.state[p]:
                    found[f"{PREFIX}{key}.{name}"] = self._optimizer.state[p][key]
        return found

    def restore(self, state: dict[str, Tensor]) -> None:
        """Goes on from `state`.

        Raises:
            KeyError: something is missing.
        """
        with torch.no_grad():
            for name, p in self.snr.named_parameters():
                p.copy_(state[f"{PREFIX}{name}"])
                if f"{PREFIX}step.{name}" in state:
                    self._optimizer.state[p] = {
                        key: _placed(state[f"{PREFIX}{key}.{name}"], key, p) for key in _MOMENTS
                    }


def _placed(value: Tensor, key: str, parameter: Tensor) -> Tensor:
    """A copy where the optimizer wants it: moments beside their parameter, the count on the processor."""
    return value.clone() if key == "step" else value.to(parameter, copy=True)

"""What a forward process is."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from diffusion_studio.core.describe import Member
from diffusion_studio.core.process.schedules import Schedule, with_zero_terminal_snr
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr

FAR, NEAR = 5.0, 0.5  # ς at T below which, and at t = 1 above which, an end is missed


class ForwardProcess(Member):
    """How much image and how much noise there are at each t: x = a_t x_0 + b_t ε.

    A schedule gives ᾱ_t; a process says what a_t and b_t are made of it. Divided by √(a² + b²) every one of
    them is variance preserving, with the SNR a²/b²: in these coordinates all chains are computed, and
    `Tables.scale` is the way between.
    """

    family: ClassVar[str] = tr("Forward processes")
    signal_stays: ClassVar[bool] = False  # whether a_t does not fall

    def signal(self, alpha_bar: Tensor) -> Tensor:
        """a_t of the schedule's ᾱ_t, float64 (T+1,)."""
        raise NotImplementedError

    def noise(self, alpha_bar: Tensor) -> Tensor:
        """b_t of the schedule's ᾱ_t, float64 (T+1,); 0 where ᾱ = 1."""
        raise NotImplementedError

    def tables(self, betas: Tensor) -> Tables:
        """The tables of this process under a schedule.

        Args:
            betas: β_1 … β_T of the schedule (T,).

        Raises:
            Refused: T < 2, or a β outside (0, 1).
        """
        alpha_bar = Tables.from_betas(betas).alpha_bar
        a, b = self.signal(alpha_bar), self.noise(alpha_bar)
        log_kept = -torch.log1p((b / a) ** 2)  # ln ᾱ of the same SNR
        same_snr = -torch.expm1(log_kept.diff())
        return Tables.from_betas(same_snr, torch.hypot(a, b))


def tables_under(process: ForwardProcess, schedule: Schedule, steps: int, zero_terminal: bool) -> Tables:
    """The tables of a process under a schedule of T steps, stretched to pure noise if that is wanted.

    Raises:
        Refused: T steps that the schedule does not have, or an end that the process cannot reach.
    """
    if zero_terminal and process.signal_stays:
        raise Refused(
            tr(
                "{title} keeps the whole image, so that no noise leaves nothing of it: leave “zero SNR at T” "
                "off, or choose another process",
                title=process.title,
            )
        )
    betas = schedule.betas(steps)
    return process.tables(with_zero_terminal_snr(betas) if zero_terminal else betas)


def missed_end(tables: Tables) -> str:
    """Which end a process does not reach, the data or the noise, as a sentence; "" if it reaches both."""
    first, last = tables.noise_level_at(1), tables.noise_level_at(tables.steps)
    if last < FAR:
        return tr(
            "This process does not reach the noise: at T it is only {level:.3g} times the image, and chains "
            "that begin with pure noise begin beside it. Let the levels grow further.",
            level=last,
        )
    if first > NEAR:
        return tr(
            "This process does not reach the data: at t = 1 the noise is already {level:.3g} times the "
            "image. Begin at a smaller level, or take more steps.",
            level=first,
        )
    return ""

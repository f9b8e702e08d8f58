"""Euler's method on the probability flow, and its ancestral variant, in (x/√ᾱ, ς)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler
from diffusion_studio.core.steps.kernel import check_times, noise_term
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr

RESCALED = r"\sqrt{\bar\alpha_s/\bar\alpha_t}"


def rescaling(tables: Tables, t: int, s: int) -> float:
    """√(ᾱ_s/ᾱ_t): what x_t is multiplied by when x/√ᾱ stays as it is."""
    return math.sqrt(tables.alpha_bar_at(s) / tables.alpha_bar_at(t))


class Euler(Sampler):
    kind: Literal["euler"] = "euler"
    rank: ClassVar[int] = 40
    title: ClassVar[str] = "Euler"
    summary: ClassVar[str] = tr(
        "straight steps along the probability flow; the same images as DDIM with η = 0."
    )
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s/\bar\alpha_t}\,x_t"
        r" + \sqrt{\bar\alpha_s}\,(\varsigma_s-\varsigma_t)\,\hat\varepsilon"
    )
    source: ClassVar[str] = tr("EDM algorithm 1 without lines 6–8")

    @property
    def is_deterministic(self) -> bool:
        return True

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        check_times(tables, t, s)
        fall = tables.noise_level_at(s) - tables.noise_level_at(t)
        return Update((
            Term("x_t", rescaling(tables, t, s), RESCALED),
            Term("eps_hat", tables.alpha_bar_at(s) ** 0.5 * fall,
                 r"\sqrt{\bar\alpha_s}(\varsigma_s-\varsigma_t)"),
        ))  # fmt: skip


class EulerAncestral(Sampler):
    kind: Literal["euler_ancestral"] = "euler_ancestral"
    rank: ClassVar[int] = 50
    title: ClassVar[str] = tr("Euler ancestral")
    summary: ClassVar[str] = tr("an Euler step below the next level, then noise back up to it.")
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s/\bar\alpha_t}\,x_t"
        r" + \sqrt{\bar\alpha_s}\,(\varsigma_{down}-\varsigma_t)\,\hat\varepsilon"
        r" + \sqrt{\bar\alpha_s}\,\varsigma_{up}\,z"
    )
    symbols: ClassVar[str] = "ς_up² = ς_s² (ς_t² − ς_s²)/ς_t², ς_down² = ς_s² − ς_up²"
    source: ClassVar[str] = "k-diffusion"

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        check_times(tables, t, s)
        high, low = tables.noise_level_at(t), tables.noise_level_at(s)
        up = (low**2 * (high**2 - low**2) / high**2) ** 0.5
        down = (low**2 - up**2) ** 0.5
        root = tables.alpha_bar_at(s) ** 0.5
        return Update((
            Term("x_t", rescaling(tables, t, s), RESCALED),
            Term("eps_hat", root * (down - high), r"\sqrt{\bar\alpha_s}(\varsigma_{down}-\varsigma_t)"),
            *noise_term(root * up, s, r"\sqrt{\bar\alpha_s}\varsigma_{up}"),
        ))  # fmt: skip

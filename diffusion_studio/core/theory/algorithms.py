"""The algorithms of the texts, line by line, and which of them a training or a chain follows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from diffusion_studio.core.denoisers.readings import READINGS, PredictionKind
from diffusion_studio.core.samplers import DDPM, AnnealedLangevin, Sampler
from diffusion_studio.core.words import tr, trc

Stage = Literal["input", "begin", "loop", "step", "end"]
"""When a line is at work: before all, at the first state, in every round, within one, at the end."""


@dataclass(frozen=True)
class CodeLine:
    """One line: its words, then a formula."""

    words: str
    latex: str = ""
    stage: Stage = "step"

    @property
    def indent(self) -> int:
        return int(self.stage == "step")


@dataclass(frozen=True)
class Algorithm:
    """A box of a text."""

    title: str
    source: str
    lines: tuple[CodeLine, ...]

    def at(self, *stages: Stage) -> tuple[int, ...]:
        """The lines that are at work at these stages, counted from 0."""
        return tuple(number for number, line in enumerate(self.lines) if line.stage in stages)


_ASK = r"\quantity{eps}{\hat\varepsilon} = \varepsilon_\theta(x_t, t)"
_START = CodeLine(trc("algorithm", "Sample"), r"x_T \sim \mathcal N(0, I)", "begin")
_RETURN = CodeLine(trc("algorithm", "Output"), r"\quantity{x0}{x_0}", "end")


def training_by(kind: PredictionKind) -> Algorithm:
    """The training of a network that predicts one of the `READINGS`."""
    reading = READINGS[kind]
    number = 1 if kind == "x_0" else 2
    return Algorithm(
        tr("Training by predicting {symbol}", symbol=reading.symbol),
        f"Course algorithm {number}",
        (
            CodeLine(tr("Input: data, T, schedule"), r"\{\alpha_t\}_{t=1}^T", "input"),
            CodeLine(trc("algorithm", "Initialise"), r"\theta", "input"),
            CodeLine(tr("while not converged do"), "", "loop"),
            CodeLine(tr("Sample a batch"), r"\quantity{x0}{x_0}^{(i)}"),
            CodeLine(tr("Sample times"), r"t^{(i)} \sim \mathrm{Unif}\{1,\dots,T\}"),
            CodeLine(tr("Sample noises"), r"\quantity{eps}{\varepsilon}^{(i)} \sim \mathcal N(0, I)"),
            CodeLine(
                trc("algorithm", "Compute"),
                r"x_t \leftarrow \sqrt{\bar\alpha_t}\,\quantity{x0}{x_0} + \sqrt{1-\bar\alpha_t}\,"
                r"\quantity{eps}{\varepsilon}",
            ),
            CodeLine(tr("Update θ by"), rf"\frac1B\sum_i\nabla_\theta\|{reading.hat}-{reading.latex}\|^2"),
            CodeLine(tr("end while"), "", "loop"),
            CodeLine(tr("Output: the trained network"), "", "end"),
        ),
    )


DDPM_SAMPLING = Algorithm(
    tr("Sampling in DDPM"), "Course algorithm 3",
    (
        CodeLine(tr("Input: network,"), r"\alpha_t,\ \sigma_t^2", "input"),
        _START,
        CodeLine(trc("algorithm", "for"), tr(r"t = T, T-1, \dots, 1 \text{ do}"), "loop"),
        CodeLine(
            trc("algorithm", "Mean"),
            r"\mu = \frac{1}{\sqrt{\alpha_t}}\left(x_t - \frac{1-\alpha_t}{\sqrt{1-\bar\alpha_t}}\,"
            r"\quantity{eps}{\varepsilon_\theta(x_t,t)}\right)",
        ),
        CodeLine(
            trc("algorithm", "Sample"),
            tr(r"\quantity{noise}{z} \sim \mathcal N(0, I),\quad z = 0 \text{ if } t = 1"),
        ),
        CodeLine(trc("algorithm", "Set"), r"x_{t-1} \leftarrow \mu + \sigma_t\,\quantity{noise}{z}"),
        CodeLine(tr("end for"), "", "loop"),
        _RETURN,
    ),
)  # fmt: skip

ANNEALED = Algorithm(
    tr("Annealed Langevin dynamics"), tr("Luo after eq. 161"),
    (
        CodeLine(tr("Sample from the prior"), r"x \sim p", "begin"),
        CodeLine(trc("algorithm", "for"), tr(r"t = T, T-1, \dots, 1 \text{ do}"), "loop"),
        CodeLine(
            trc("algorithm", "Repeat"),
            r"x \leftarrow x + c_t\,\quantity{score}{s_\theta(x,t)} + \sqrt{2c_t}\,"
            r"\quantity{noise}{\varepsilon}",
        ),
        CodeLine(tr("Shrink the step"), r"c_{t-1} < c_t"),
        CodeLine(tr("end for: begin where this level ended"), "", "loop"),
        CodeLine(trc("algorithm", "Output"), "x", "end"),
    ),
)  # fmt: skip


def _over_times(title: str, source: str, rule: str) -> Algorithm:
    """A chain over the visited times, whose every step follows a rule in LaTeX."""
    return Algorithm(
        title,
        source,
        (
            _START,
            CodeLine(tr("for l = m … 1 do"), r"t, s \leftarrow \tau_l, \tau_{l-1}", "loop"),
            CodeLine(tr("Ask the network"), _ASK),
            CodeLine(trc("algorithm", "Set"), rule),
            CodeLine(tr("end for"), "", "loop"),
            _RETURN,
        ),
    )


DDIM_SAMPLING = _over_times(
    tr("Generation in DDIM"), "Stratos §3.3",
    r"x_s \leftarrow \sqrt{\bar\alpha_s}\,\frac{x_t-\sqrt{1-\bar\alpha_t}\,\quantity{eps}{\hat\varepsilon}}"
    r"{\sqrt{\bar\alpha_t}} + \sqrt{1-\bar\alpha_s-\sigma_t^2}\,\quantity{eps}{\hat\varepsilon}"
    r" + \sigma_t\,\quantity{noise}{z}",
)  # fmt: skip

LANGEVIN = Algorithm(
    tr("Langevin dynamics"), "Luo eq. 158",
    (
        CodeLine(tr("Sample from any prior"), r"x_0 \sim \pi", "begin"),
        CodeLine(trc("algorithm", "for"), tr(r"i = 0, 1, \dots, K \text{ do}"), "loop"),
        CodeLine(
            trc("algorithm", "Set"),
            r"x_{i+1} \leftarrow x_i + c\,\nabla\log p(x_i) + \sqrt{2c}\,\quantity{noise}{\varepsilon}"
        ),
        CodeLine(tr("end for"), "", "loop"),
        CodeLine(trc("algorithm", "Output"), "x_{K+1}", "end"),
    ),
)  # fmt: skip

DDPM_GENERATION = Algorithm(
    tr("Generation in DDPM"), "Stratos §2.4",
    (
        _START,
        CodeLine(trc("algorithm", "for"), tr(r"t = T, \dots, 1 \text{ do}"), "loop"),
        CodeLine(
            trc("algorithm", "Sample"),
            r"x_{t-1} \sim \mathcal N\left(\frac{1}{\sqrt{1-\beta_t}}\left(x_t - \frac{\beta_t}"
            r"{\sqrt{1-\bar\alpha_t}}\,\quantity{eps}{\varepsilon_\theta(x_t,t)}\right),"
            r"\ \sigma_t^2 I\right)",
        ),
        CodeLine(tr("end for"), "", "loop"),
        _RETURN,
    ),
)  # fmt: skip

ALGORITHMS = (
    training_by("x_0"), training_by("eps"), DDPM_SAMPLING, DDPM_GENERATION, DDIM_SAMPLING, LANGEVIN, ANNEALED,
)  # fmt: skip
"""Those that the texts print."""


def sampling_by(sampler: Sampler) -> Algorithm:
    """The algorithm that chains of a sampler follow; one that no text prints is written with its rule."""
    if isinstance(sampler, DDPM):
        return DDPM_SAMPLING
    if isinstance(sampler, AnnealedLangevin):
        return ANNEALED
    if sampler.kind in ("ddim", "sigma"):
        return DDIM_SAMPLING
    return _over_times(
        tr("A chain by {title}", title=sampler.title), sampler.source, _coloured(sampler.formula)
    )


_COLOURED = {
    "eps": r"\\hat\\varepsilon(?:'|_\{[^}]*\})?",
    "x0": r"\\hat x_0(?:'|\^\{[^}]*\})?",
    "score": r"\\hat s",
    "noise": r"(?<![\w\\{])z\b",
}


def _coloured(rule: str) -> str:
    """A rule whose estimates and noise carry the colours that they have everywhere."""
    for key, pattern in _COLOURED.items():
        rule = re.sub(pattern, rf"\\quantity{{{key}}}{{\g<0>}}", rule)
    return rule

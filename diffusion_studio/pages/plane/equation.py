"""The equation of one step of the particles, with its numbers."""

from __future__ import annotations

import itertools
import math

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.words import number, tr
from diffusion_studio.engine.plane.process import Forward, Langevin, Reverse
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.pages.sample.step_equation import step_equation
from diffusion_studio.widgets.equations.equation import Term


def plane_equation(
    spec: PlaneSpec, tables: Tables, times: tuple[int, ...], position: int
) -> tuple[list[Term], list[Term], str]:
    """Formula, numbers and caption of the step that begins at state `position`."""
    formula, numbers, caption = _plain(spec, tables, times, position)
    if spec.guides and not isinstance(spec.process, Forward):
        caption += tr(" · guided: ∇log pₜ(x) + {g.gamma:g} ∇log pₜ(y|x), y = {g.label}", g=spec.guide)
    if not tables.preserves:
        other = spec.forward.title
        caption += tr(" · in the coordinates of VP, which those of {other} are a multiple of", other=other)
    return formula, numbers, caption


def _plain(
    spec: PlaneSpec, tables: Tables, times: tuple[int, ...], position: int
) -> tuple[list[Term], list[Term], str]:
    """The same without guidance."""
    process = spec.process
    if isinstance(process, Langevin):
        return _langevin(process)
    if position + 1 >= len(times):
        return [Term("x_0" if times[-1] == 0 else "x_T", "xt")], [], tr("the end of the chain")
    t, s = times[position], times[position + 1]
    if s > t and isinstance(process, Reverse) and process.climb == "flow":
        return _flow_up(tables, t, s)
    if s > t:
        return _forward(tables, t, s)
    assert isinstance(process, Reverse)
    before = _before(times, position)
    formula, numbers = step_equation(process.sampler.update(tables, t, s, before), s)
    return formula, numbers, f"t = {t} → s = {s} · {type(process.sampler).source}"


def _before(times: tuple[int, ...], position: int) -> list[int]:
    """Where the steps down before this one began, the nearest first; those on the way up are none."""
    before: list[int] = []
    for later, earlier in itertools.pairwise(reversed(times[: position + 1])):
        if earlier < later:
            break
        before.append(earlier)
    return before


def _langevin(process: Langevin) -> tuple[list[Term], list[Term], str]:
    formula = [
        Term("x", "xt"), Term(r"\leftarrow"), Term("x", "xt", tr("The present place"), "x"), Term("+"),
        Term("c", tooltip=tr("The step"), name="step"),
        Term(r"\nabla\log p_t(x)", "score", tr("The score of the present noise level"), "score"),
    ]  # fmt: skip
    numbers = [Term(text=f"x ← x + {number(process.step, '.4g')}"), Term(r"\hat s", "score")]
    if process.heat > 0:
        formula += [Term("+"), Term(r"\sqrt{2c}", tooltip=tr("Size of the noise"), name="step"),
                    Term(r"\varepsilon", "eps", tr("Fresh noise"), "heat")]  # fmt: skip
        numbers += [
            Term(text=f"+ {number(process.heat * math.sqrt(2 * process.step), '.4g')}"),
            Term(r"\varepsilon", "eps"),
        ]
    caption = "Luo eq. 158" + (tr(", with a Metropolis test") if process.adjusted else "")
    return formula, numbers, caption


def _forward(tables: Tables, s: int, t: int) -> tuple[list[Term], list[Term], str]:
    variance = tables.beta_between(t, s)
    formula = [
        Term("x_t", "xt"), Term("="), Term(r"\sqrt{\bar\alpha_t/\bar\alpha_s}"), Term("x_s", "xt"), Term("+"),
        Term(r"\sqrt{1-\bar\alpha_t/\bar\alpha_s}"), Term(r"\varepsilon", "eps", tr("Fresh noise")),
    ]  # fmt: skip
    numbers = [
        Term(text=f"x = {number(math.sqrt(1 - variance), '.4f')}"), Term("x_s", "xt"),
        Term(text=f"+ {number(math.sqrt(variance), '.4f')}"), Term(r"\varepsilon", "eps"),
    ]  # fmt: skip
    return formula, numbers, f"s = {s} → t = {t} · Luo eq. 69"


def _flow_up(tables: Tables, s: int, t: int) -> tuple[list[Term], list[Term], str]:
    scale = math.sqrt(tables.alpha_bar_at(t) / tables.alpha_bar_at(s))
    rise = math.sqrt(tables.alpha_bar_at(t)) * (tables.noise_level_at(t) - tables.noise_level_at(s))
    formula = [
        Term("x_t", "xt"), Term("="), Term(r"\sqrt{\bar\alpha_t/\bar\alpha_s}"), Term("x_s", "xt"),
        Term("+"), Term(r"\sqrt{\bar\alpha_t}(\varsigma_t-\varsigma_s)"),
        Term(r"\hat\varepsilon", "eps", tr("The estimated noise")),
    ]  # fmt: skip
    numbers = [
        Term(text=f"x = {number(scale, '.4f')}"), Term("x_s", "xt"),
        Term(text=f"+ {number(rise, '.4f')}"), Term(r"\hat\varepsilon", "eps"),
    ]  # fmt: skip
    return formula, numbers, tr("s = {s} → t = {t} · DDIM inversion, DDIM §4.3", s=s, t=t)

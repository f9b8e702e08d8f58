"""What the Train page makes of what it is told, before its widgets show it."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.runs.quality import Quality
from diffusion_studio.engine.training.events import TimestepErrors
from diffusion_studio.viewmodels.train.state import TrainState
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.plots import Overlay
from diffusion_studio.widgets.plots.quality_view import Measures


def measures(step: int, q: Quality) -> Measures:
    return Measures(
        step, q.count, q.frechet, q.real_frechet, q.real_frechet_spread, q.precision, q.real_precision,
        q.recall, q.real_recall, q.nearest, q.real_nearest,
        (q.noise_frechet, q.noise_precision, q.noise_recall, q.noise_nearest),
    )  # fmt: skip


def caption(state: TrainState) -> str:
    """The weight in words, with its value in the middle."""
    objective, tables = state.config.objective, state.config.diffusion.tables()
    if objective.variance == "vlb":
        return tr("the bound itself, term by term · iDDPM eq. 4")
    weight = type(objective.weight)
    t = max(tables.steps * 28 // 100, 1)
    value = float(objective.weight.on_eps(tables)[t])
    return tr(
        "λ: {weight.title} · λ at t = {t} is {value:.3g} on the ε error · {weight.source}",
        weight=weight, t=t, value=value,
    )  # fmt: skip


def overlays(event: TimestepErrors) -> dict[str, Overlay]:
    """λ_t, the density of t and the share of the loss, as far as they are known."""
    found: dict[str, Overlay] = {}
    if event.weight is not None:
        found["λ_t"] = Overlay(event.weight, "weight")
    if event.density is not None:
        found[tr("density of t")] = Overlay(event.density, "xt", height=0.5)
    if event.share is not None:
        found[tr("share of the loss")] = Overlay(event.share, "sky", bars=True)
    return found


def framed(plot: QWidget) -> QWidget:
    card = Card()
    card.body.addWidget(plot)
    layout = card.layout()
    assert isinstance(layout, QVBoxLayout)
    return card

"""What guidance trades, worked out beside the chain: one noise under every γ, and measures over γ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from weakref import ref

from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.source import training_images
from diffusion_studio.engine.evaluation.guidance_sweep import (
    GAMMAS,
    GammaStrip,
    Judge,
    Trade,
    gamma_strip,
    sweep,
)
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.quality import QualitySpace
from diffusion_studio.viewmodels.job import Post, Slot

SAMPLES = 200  # for each γ
STEPS = 25  # of each of their chains at most


@dataclass(frozen=True, eq=False)
class StripFound(events.Event):
    strip: GammaStrip


@dataclass(frozen=True, eq=False)
class TradeFound(events.Event):
    trade: Trade
    judge: float  # how often the judge is right about real images it has not seen


@dataclass(frozen=True)
class TradeProgress(events.Event):
    share: float


@dataclass(frozen=True)
class TradeState:
    """What is known of the trade."""

    strip: GammaStrip | None = None
    trades: tuple[Trade, ...] = ()
    judge: float = 0.0
    measuring: bool = False
    share: float = 0.0  # of the measuring
    message: str = ""  # why there is nothing


class TradeModel(QObject):
    """Makes the strip of a chain when it is looked at, and the sweep when it is asked for."""

    changed = Signal(object)  # TradeState
    failed = Signal(str)  # the sweep

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._strips, self._sweeps = Slot(self), Slot(self)
        self._strips.told.connect(self._on_event)
        self._sweeps.told.connect(self._on_sweep)
        self._of: object = None
        self._images: tuple[str, ImageSet] | None = None
        self.state = TradeState()

    def look(self, chain: Chain) -> None:
        """Makes the strip of a chain, unless it is there already; γ itself plays no part in it."""
        spec = chain.spec.model_copy(update={"guidance": 1.0, "label": -1, "count": 1})
        of = (ref(chain.source), spec)
        if of == self._of:
            return
        self._of = of
        self._strips.drop()
        self._sweeps.drop()
        self.state = TradeState()
        if not chain.class_names:
            self._update(message=tr("Guidance needs classes, and this model knows none."))
            return
        self.changed.emit(self.state)

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            for strip in gamma_strip(chain, GAMMAS):
                if control.stopped:
                    return
                if strip is not None:
                    yield StripFound(strip)

        self._strips.start(stream)

    def measure(self, key: str, chain: Chain) -> None:
        """Begins the sweep over γ of a chain of the denoiser `key`."""
        spec = chain.spec.model_copy(update={"steps": min(chain.spec.steps, STEPS)})
        chain = replace(chain, spec=spec, origin=None, only=())
        self._update(trades=(), measuring=True, share=0.0, message="")

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            images = self._training_images(key)
            judge, space = Judge(images), QualitySpace(images.images)
            count = max(SAMPLES, 2 * len(chain.class_names))
            total, done = len(GAMMAS) * (len(Chain(chain.source, spec, chain.device).times) - 1), 0
            for trade in sweep(chain, judge, space, count, GAMMAS):
                if control.stopped:
                    return
                if trade is None:
                    done += 1
                    yield TradeProgress(min(done / total, 1.0))
                else:
                    yield TradeFound(trade, judge.accuracy)

        self._sweeps.start(stream)

    def stop(self) -> None:
        """Ends the sweep; what is measured stays."""
        self._sweeps.stop()

    def _training_images(self, key: str) -> ImageSet:
        if self._images is None or self._images[0] != key:
            self._images = key, training_images(key)
        return self._images[1]

    def _on_event(self, event: events.Event) -> None:
        match event:
            case StripFound(strip=strip):
                self._update(strip=strip)
            case events.Finished(outcome="failed", message=message):
                self._update(message=message)

    def _on_sweep(self, event: events.Event) -> None:
        match event:
            case TradeFound(trade=trade, judge=judge):
                self._update(trades=(*self.state.trades, trade), judge=judge)
            case TradeProgress(share=share):
                self._update(share=share)
            case events.Finished(outcome=outcome, message=message):
                self._update(measuring=False, message=message if outcome == "failed" else "")
                if outcome == "failed":
                    self.failed.emit(message)

    def _update(self, **values: Any) -> None:
        self.state = replace(self.state, **values)
        self.changed.emit(self.state)

    def shutdown(self) -> None:
        self._strips.finish(60_000)
        self._sweeps.finish(60_000)
        self._images = None

"""What is known about the place under the pointer: some at once, the likelihood after a rest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from PySide6.QtCore import QObject, QTimer, Signal

from diffusion_studio.core.denoisers.denoiser import Denoiser
from diffusion_studio.core.denoisers.memorised import MemorisedPoints
from diffusion_studio.core.denoisers.mixture import MixtureDenoiser
from diffusion_studio.core.denoisers.tilted import TiltedDenoiser
from diffusion_studio.core.steps.flow import flow_log_likelihood, mixture_field
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.helper_threads import work_alone
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.plane.state import GuideReading, PointReading

REST = 250  # ms


@dataclass(frozen=True)
class FlowKnown(events.Event):
    """ln p_0 of a point along the probability flow; not a number where the flow did not converge."""

    x: float
    y: float
    value: float


class PlanePointer(QObject):
    """Reads densities and scores at a point."""

    changed = Signal(object)  # PointReading, or None

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._slot = Slot(self)
        self._slot.told.connect(self._on_event)
        self._rest = QTimer(self, interval=REST, singleShot=True)
        self._rest.timeout.connect(self._follow_flow)
        self._exact: MixtureDenoiser | None = None
        self.reading: PointReading | None = None

    def point_at(self, x: float, y: float, t: int, spec: PlaneSpec, learned: Denoiser | None) -> None:
        """The pointer is at (x, y), and the picture shows p_t."""
        exact, scale = spec.denoiser(), spec.tables().scale_at(t)
        place = torch.tensor([[x, y]], dtype=torch.float64)
        inner = place / scale  # where chains are computed
        log_density, score = exact.level(t).log_density_and_score(inner)
        points = isinstance(exact, MemorisedPoints)  # they have no density at t = 0
        known = None if points else float(exact.level(0).log_density(place))
        guess = None
        if learned is not None:
            guess = _pair(learned(inner.float(), max(t, 1)).score_hat, scale)
        self._exact = exact
        seen = float(log_density) - 2 * math.log(scale)
        guide = _guide(spec, t, inner, scale)
        self._tell(PointReading(x, y, t, seen, _pair(score, scale), guess, None, known, guide))
        if points:
            self._rest.stop()
        else:
            self._rest.start()

    def leave(self) -> None:
        """The pointer is elsewhere."""
        self._rest.stop()
        self._slot.drop()
        self._tell(None)

    def shutdown(self) -> None:
        self._rest.stop()
        self._slot.finish()

    def _follow_flow(self) -> None:
        reading, exact = self.reading, self._exact
        if reading is None or exact is None:
            return

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            work_alone()
            place = torch.tensor([[reading.x, reading.y]], dtype=torch.float64)
            value = flow_log_likelihood(mixture_field(exact.mixture), place, stopped=lambda: control.stopped)
            yield FlowKnown(reading.x, reading.y, float(value))

        self._slot.start(stream)

    def _on_event(self, event: events.Event) -> None:
        match event:
            case FlowKnown(x=x, y=y, value=value):
                if self.reading is not None and (self.reading.x, self.reading.y) == (x, y):
                    self._tell(replace(self.reading, flow=value))

    def _tell(self, reading: PointReading | None) -> None:
        self.reading = reading
        self.changed.emit(reading)


def _pair(slope: torch.Tensor, scale: float) -> tuple[float, float]:
    """A slope (1, 2) in the plane of the process, which is `scale` times as large."""
    x, y = (slope[0] / scale).tolist()
    return x, y


def _guide(spec: PlaneSpec, t: int, place: torch.Tensor, scale: float) -> GuideReading | None:
    """What guidance does at `place` (1, 2), exactly."""
    denoiser = spec.guided()
    if not isinstance(denoiser, TiltedDenoiser):
        return None
    level = denoiser.level(t)
    gradient, score = (_pair(found, scale) for found in (level.class_gradient(place), level.score(place)))
    share = float(level.base.log_class(place, level.label).exp())
    return GuideReading(gradient, score, share, level.label, level.gamma)

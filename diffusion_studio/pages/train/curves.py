"""The curves of a training: its loss, its errors by timestep, and a schedule that is learned."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSplitter, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.training.events import TimestepErrors
from diffusion_studio.engine.training.timestep_errors import standard_error
from diffusion_studio.pages.train.parts import framed, overlays
from diffusion_studio.viewmodels.train.comparison import Comparison, Floats, comparison_with, fixed_schedules
from diffusion_studio.viewmodels.train.record import RunRecord
from diffusion_studio.viewmodels.train.state import TrainState
from diffusion_studio.widgets.plots import Compared, Line, LossPlot, Mark, RunCurve, XYPlot
from diffusion_studio.widgets.plots.timestep_panel import FROZEN, TimestepPanel


class TrainCurves(QSplitter):
    """Plots under each other that show what `record` holds."""

    def __init__(self, record: RunRecord, state: TrainState, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)
        self._record, self._state = record, state
        self.loss = LossPlot(tr("Loss, as minimised"))
        self.timesteps = TimestepPanel()
        self.loss.set_empty_text(tr("The loss of every step appears here as it trains."))
        self.timesteps.plot.set_empty_text(
            tr(
                "Here will be the error at every timestep, "
                "once a few hundred images were noised and denoised."
            )
        )
        self.schedule = XYPlot(tr("Learned noise schedule"))
        self.schedule.set_axes("t", "ln SNR, −ω(t)")
        self.schedule_card = framed(self.schedule)
        for drawn in (self.loss, self.timesteps.plot, self.schedule):
            drawn.spare_the_training()
        for plot in (framed(self.loss), framed(self.timesteps), self.schedule_card):
            self.addWidget(plot)
        self.schedule_card.hide()
        self.setHandleWidth(12)
        self.setChildrenCollapsible(False)
        record.losses_changed.connect(self._show_losses)
        record.timesteps_changed.connect(self._show_timesteps)
        self.timesteps.moment_changed.connect(self._show_moment)
        self.timesteps.compare_requested.connect(self._compare)

    def show_state(self, state: TrainState) -> None:
        """Which run it is, and where what is minimised was changed."""
        before, self._state = self._state, state
        if before.marks != state.marks:
            self._show_losses()
            self.timesteps.set_history(self._record.timesteps.steps, state.marks)

    def show_all(self) -> None:
        """What the record holds already."""
        self._show_losses()
        self._show_timesteps()

    def _show_losses(self) -> None:
        losses, state = self._record.losses, self._state
        starts = [Mark(float(losses.steps[i]), tr("resumed")) for i in losses.segments[1:]]
        self.loss.set_marks([*starts, *(Mark(float(step), text) for step, text in state.marks)])
        restarts = tuple(float(step) for step, _ in state.marks)
        name = state.run.name if state.run else ""
        self.loss.set_runs([RunCurve(name, losses.steps, losses.values, losses.segments, restarts)])

    def _show_timesteps(self) -> None:
        history = self._record.timesteps
        self.timesteps.set_history(history.steps, self._state.marks)
        if self.timesteps.follows:
            self._show_moment(len(history) - 1)

    def _show_moment(self, index: int) -> None:
        event = self._record.timesteps.at(max(index, 0))
        plot = self.timesteps.plot
        if event is None:
            plot.set_data([], [], [])
            plot.set_overlays({})
            return
        log_snr = self._record.log_snr(event.t) if event.log_snr is None else event.log_snr
        plot.set_axis(self.timesteps.shown_axis, log_snr)
        band = 2 * standard_error(event.spread, event.count)
        plot.set_data(event.t, event.error, event.count, event.error - band, event.error + band)
        plot.set_overlays(overlays(event))
        self._show_schedule(event, log_snr)

    def _show_schedule(self, event: TimestepErrors, log_snr: Floats) -> None:
        """A schedule that is learned, as it moves, beside two that are fixed."""
        self.schedule_card.setVisible(event.log_snr is not None)
        if event.log_snr is None:
            return
        others = fixed_schedules(self._state.run_steps, event.t)
        solid, dots = Qt.PenStyle.SolidLine, Qt.PenStyle.DotLine
        lines = {tr("learned"): Line(event.t, log_snr, "score", Qt.PenStyle.DashLine)}
        for (name, values), dash in zip(others.items(), (solid, dots), strict=True):
            lines[name] = Line(event.t, values, "muted", dash)
        self.schedule.set_lines(lines)

    def _compare(self, key: str) -> None:
        """Lays the shown moment or another run over the errors; "" takes it away."""
        found: Comparison | None = None
        if key == FROZEN:
            found = self._record.held(self.timesteps.history.value())
        elif key:
            found = comparison_with(Path(key))
        self.timesteps.plot.set_compared(None if found is None else _compared(found))


def _compared(found: Comparison) -> Compared:
    errors = found.errors
    return Compared(found.name, errors.t, found.total, errors.error, errors.share, found.log_snr)

"""What the shown run has told so far: its losses, its errors by timestep, its samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.words import tr
from diffusion_studio.engine.jobs.events import Event, Progress
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.events import Preview, PreviewMeasured, TimestepErrors
from diffusion_studio.viewmodels.train.comparison import Comparison, log_snr_at
from diffusion_studio.viewmodels.train.following import Followed
from diffusion_studio.viewmodels.train.preview_history import PreviewHistory
from diffusion_studio.viewmodels.train.series import LossSeries
from diffusion_studio.viewmodels.train.timestep_history import TimestepHistory


class RunRecord(QObject):
    """Grows by what a training tells, or is read from the folder of a run."""

    losses_changed = Signal(object)  # LossSeries
    timesteps_changed = Signal(object)  # TimestepHistory
    previews_changed = Signal(object)  # PreviewHistory

    def __init__(self, config: RunConfig, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.losses, self.timesteps, self.previews = LossSeries(), TimestepHistory(), PreviewHistory()
        self._tables: Tables = config.diffusion.tables()

    def begin(self, config: RunConfig) -> None:
        """A run that has told nothing yet."""
        self._tables = config.diffusion.tables()
        self.losses.clear()
        self.timesteps.clear()
        self.previews.clear()
        self._tell()

    def restore(self, run: Run) -> None:
        """What a run has on disk."""
        self._tables = run.config.diffusion.tables()
        self.losses.restore(run.metrics.segments())
        self.timesteps.restore(run)
        self.previews.restore(run)
        self._tell()

    def take(self, event: Event) -> None:
        """One more thing that the training told."""
        match event:
            case Followed(event=inner):
                self.take(inner)
            case Progress():
                self.losses.add(event.first_loss_step, event.losses)
                self.losses_changed.emit(self.losses)
            case TimestepErrors():
                self.timesteps.add(event)
                self.timesteps_changed.emit(self.timesteps)
            case Preview():
                self.previews.add(event)
                self.previews_changed.emit(self.previews)
            case PreviewMeasured():
                self.previews.quality[event.step] = event.quality
                self.previews_changed.emit(self.previews)

    def log_snr(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """ln SNR of the run's schedule at (fractional) times t. (N,)"""
        newest = self.timesteps.newest
        if newest is not None and newest.log_snr is not None and len(newest.log_snr) == len(t):
            return newest.log_snr  # of a schedule that is learned
        return log_snr_at(self._tables, t)

    @property
    def last_step(self) -> int:
        """The newest whose loss is known; 0 before the first."""
        return int(self.losses.steps[-1]) if len(self.losses.steps) else 0

    def held(self, index: int) -> Comparison | None:
        """The errors by timestep of one moment, to compare later ones with."""
        moment = self.timesteps.at(index)
        if moment is None:
            return None
        name = tr("step {step:,}", step=moment.step)
        return Comparison(name, moment, self._tables.steps, self.log_snr(moment.t))

    def _tell(self) -> None:
        self.losses_changed.emit(self.losses)
        self.previews_changed.emit(self.previews)
        self.timesteps_changed.emit(self.timesteps)

"""What a training has told so far: both terms of each step, and what the network did last."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from diffusion_studio.engine.autoencoder.events import BoundTold, Looked, LossesRead
from diffusion_studio.engine.jobs.events import Event

Floats = NDArray[np.float64]
POINTS = 400  # of a drawn curve, at most


class ThinCurve:
    """Values step by step, averaged over more and more steps as there are more of them.

    Args:
        rows: values of each step.
    """

    def __init__(self, rows: int) -> None:
        self._means = np.empty((rows, 0))  # each over `_each` steps
        self._rest = np.empty((rows, 0))  # of the steps since
        self._each = 1

    def add(self, values: Floats) -> None:
        """The values of the next steps. (rows, n)"""
        self._rest = np.concatenate([self._rest, values], 1)
        self._settle()
        while self._means.shape[1] > POINTS:
            kept = self._means.shape[1] // 2 * 2
            odd = np.repeat(self._means[:, kept:], self._each, 1)
            self._means = self._means[:, :kept].reshape(len(self._means), -1, 2).mean(2)
            self._rest, self._each = np.concatenate([odd, self._rest], 1), 2 * self._each
            self._settle()

    def _settle(self) -> None:
        whole = self._rest.shape[1] // self._each * self._each
        fresh = self._rest[:, :whole].reshape(len(self._rest), -1, self._each).mean(2)
        self._means, self._rest = np.concatenate([self._means, fresh], 1), self._rest[:, whole:]

    def points(self) -> tuple[Floats, Floats]:
        """How many steps came before each point (fractional), and its values. (n,), (rows, n)"""
        count = self._means.shape[1]
        places: Floats = (np.arange(count, dtype=np.float64) + 0.5) * self._each - 0.5
        return places, self._means


class CodeRecord(QObject):
    """Grows by what a training tells."""

    terms_changed = Signal()
    looked = Signal(object)  # Looked, the newest

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.newest: Looked | None = None
        self._terms = ThinCurve(2)
        self._read = ThinCurve(2)  # steps and losses of a run on disk
        self._first = 0  # step; 0: nothing was told yet

    def begin(self) -> None:
        """Forgets everything: another run."""
        self.newest, self._terms, self._read, self._first = None, ThinCurve(2), ThinCurve(2), 0
        self.terms_changed.emit()

    def take(self, event: Event) -> None:
        """One more thing that the training told."""
        if isinstance(event, BoundTold):
            self._first = self._first or event.first_step
            self._terms.add(np.stack([event.reconstruction, event.kl]).astype(np.float64))
            self.terms_changed.emit()
        elif isinstance(event, LossesRead):
            self._read.add(np.stack([event.steps.astype(np.float64), event.losses]))
            self.terms_changed.emit()
        elif isinstance(event, Looked):
            self.newest = event
            self.looked.emit(event)

    def curves(self) -> tuple[Floats, Floats, Floats]:
        """Steps, reconstruction and KL, averaged so that few enough points are left. (n,) each"""
        places, (reconstruction, kl) = self._terms.points()
        return self._first + places, reconstruction, kl

    def losses(self) -> tuple[Floats, Floats]:
        """Steps and losses of a run on disk, averaged likewise; its two terms are not kept. (n,) each"""
        steps, losses = self._read.points()[1]
        return steps, losses

"""What a training has told so far: both terms of each step, and what the network did last."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from diffusion_studio.engine.autoencoder.events import BoundTold, Looked
from diffusion_studio.engine.jobs.events import Event

Floats = NDArray[np.float64]
POINTS = 300  # of a drawn curve


class CodeRecord(QObject):
    """Grows by what a training tells."""

    terms_changed = Signal()
    looked = Signal(object)  # Looked, the newest

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.newest: Looked | None = None
        self._reconstruction: list[NDArray[np.float32]] = []
        self._kl: list[NDArray[np.float32]] = []
        self._first = 1

    def begin(self) -> None:
        """Forgets everything: another run."""
        self.newest, self._reconstruction, self._kl = None, [], []
        self.terms_changed.emit()

    def take(self, event: Event) -> None:
        """One more thing that the training told."""
        if isinstance(event, BoundTold):
            if not self._kl:
                self._first = event.first_step
            self._reconstruction.append(event.reconstruction)
            self._kl.append(event.kl)
            self.terms_changed.emit()
        elif isinstance(event, Looked):
            self.newest = event
            self.looked.emit(event)

    def curves(self) -> tuple[Floats, Floats, Floats]:
        """Steps, reconstruction and KL, averaged so that few enough points are left. (n,) each"""
        if not self._kl:
            return np.empty(0), np.empty(0), np.empty(0)
        terms = np.stack([np.concatenate(self._reconstruction), np.concatenate(self._kl)]).astype(np.float64)
        count = terms.shape[1]
        edges = np.unique(np.linspace(0, count, min(count, POINTS) + 1).astype(int))
        sums = np.add.reduceat(terms, edges[:-1], axis=1) / np.diff(edges)
        return self._first + (edges[1:] + edges[:-1] - 1) / 2, sums[0], sums[1]

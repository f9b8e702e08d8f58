"""Measures the particles now and then, and keeps the last run of another method beside the present one."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.tilted import Level
from diffusion_studio.engine.toy_chain import ToyChain
from diffusion_studio.engine.toy_measures import measure
from diffusion_studio.engine.toy_process import Langevin, Process
from diffusion_studio.viewmodels.toy_state import Comparison, Course, method_title


class ToyMeter(QObject):
    """The course of the present run, and of the one before."""

    measured = Signal(object)  # Comparison

    def __init__(self, process: Process, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._now, self._before = Course(method_title(process)), None

    def begin(self, process: Process) -> None:
        """Another run begins."""
        title = method_title(process)
        if title != self._now.title and self._now.last is not None:
            self._before = self._now
        self._now = Course(title)

    def measure(self, chain: ToyChain, level: Level) -> None:
        """Compares the particles where the chain stands with p_t."""
        process = chain.spec.process
        step, heat = (process.step, process.heat) if isinstance(process, Langevin) else (0.0, 1.0)
        found = measure(level, chain.x, chain.position, chain.times[chain.position], step, heat)
        self._now = self._now.with_measures(found)
        self.measured.emit(Comparison(self._now, self._before, chain.last))

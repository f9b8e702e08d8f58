"""Measures the particles now and then, and keeps the last run of another method beside the present one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal

from diffusion_studio.core.denoisers.tilted import Level
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.helper_threads import work_alone
from diffusion_studio.engine.plane.chain import PlaneChain
from diffusion_studio.engine.plane.measures import Measures, measure
from diffusion_studio.engine.plane.process import Langevin, Process
from diffusion_studio.viewmodels.job import Post, Slot, Stream
from diffusion_studio.viewmodels.plane.methods import method_title
from diffusion_studio.viewmodels.plane.state import Comparison, Course

EVERY = 250  # ms between two measurements while something moves
STILL = 60  # ms of rest before one


@dataclass(frozen=True)
class Measured(events.Event):
    """What was found in a state of one run."""

    found: Measures
    run: int
    length: int  # steps of that run


class PlaneMeter(QObject):
    """The course of the present run, and of the one before. It computes beside the window.

    Args:
        subject: the chain that is measured where it stands, and the p_t that its particles should have; None
            while there is nothing to measure.
    """

    measured = Signal(object)  # Comparison

    def __init__(
        self, process: Process, subject: Callable[[], tuple[PlaneChain, Level] | None],
        parent: QObject | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._subject = subject
        self._often = QTimer(self, interval=EVERY)
        self._still = QTimer(self, interval=STILL, singleShot=True)
        for timer in (self._often, self._still):
            timer.timeout.connect(self.measure)
        self._now = Course(method_title(process))
        self._before: Course | None = None
        self._run = 0
        self._next: Stream | None = None
        self._slot = Slot(self)
        self._slot.told.connect(self._on_event)

    @property
    def busy(self) -> bool:
        """Whether something is being measured, or will be once it has rested."""
        return self._slot.busy or self._still.isActive()

    def begin(self, process: Process) -> None:
        """Another run begins."""
        title = method_title(process)
        if title != self._now.title and self._now.last is not None:
            self._before = self._now
        self._now = Course(title)
        self._run += 1

    def keep_on(self) -> None:
        """Measures again and again, until it rests."""
        if not self._often.isActive():
            self._often.start()

    def rest(self) -> None:
        """Measures once more, once for a whole drag of the timeline."""
        self._often.stop()
        self._still.start()

    def measure(self) -> None:
        """Compares the particles where the chain stands with p_t; of many requests the last one is kept."""
        subject = self._subject()
        if subject is None:
            return
        chain, level = subject
        process, x, position, length, run = chain.spec.process, chain.x, chain.position, chain.last, self._run
        step, heat = (process.step, process.heat) if isinstance(process, Langevin) else (0.0, 1.0)
        t = chain.times[position]

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            work_alone()
            yield Measured(measure(level, x, position, t, step, heat), run, length)

        if self._slot.busy:
            self._next = stream
        else:
            self._slot.start(stream)

    def shutdown(self) -> None:
        self._often.stop()
        self._still.stop()
        self._next = None
        self._slot.finish()

    def _on_event(self, event: events.Event) -> None:
        match event:
            case Measured(found=found, run=run, length=length) if run == self._run:
                self._now = self._now.with_measures(found)
                self.measured.emit(Comparison(self._now, self._before, length))
            case events.Finished() if self._next is not None:
                stream, self._next = self._next, None
                self._slot.start(stream)

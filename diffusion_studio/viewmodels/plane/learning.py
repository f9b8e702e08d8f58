"""The small network of the 2-D page: trained beside the window, its field shown as it sharpens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.denoisers.denoiser import Denoiser
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.helper_threads import work_alone
from diffusion_studio.engine.plane.guide import guided_network
from diffusion_studio.engine.plane.learner import Learned, judged_levels, learn, score_error
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.models.network import Network, NetworkDenoiser
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.plane.state import LearningState

JUDGE_EVERY = 1.0  # seconds of training between two such measurements


@dataclass(frozen=True)
class Judged(events.Event):
    """How far the learned score is from the exact one, over all t it learned."""

    error: float  # E ‖ŝ − s‖² in units of E ‖s‖²


class PlaneLearner(QObject):
    """Starts, pauses and stops a training; tells of every newer network."""

    changed = Signal(object)  # LearningState
    learned = Signal()  # there is a newer network
    failed = Signal(str, str)  # a sentence, the traceback

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._slot = Slot(self)
        self._slot.told.connect(self._on_event)
        self.state = LearningState()
        self.network: NetworkDenoiser[Network] | None = None

    def guided(self, spec: PlaneSpec) -> Denoiser | None:
        """The network with the guidance of `spec`; None while there is none."""
        if self.network is None or not spec.guides:
            return self.network
        return guided_network(self.network, spec.guide)

    def forget(self) -> None:
        """The network is of no use any more, nor is what still learns."""
        self._slot.drop()
        self.network = None
        self._update(LearningState())

    def start(self, spec: PlaneSpec) -> None:
        """Learns the distribution of `spec` from the beginning."""

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            work_alone()  # the other processor is the window's
            exact, judged = spec.denoiser(), 0.0
            one = spec.learning.levels == "one"
            levels = {max(spec.t, 1): 1.0} if one else judged_levels(exact.tables.steps)
            last: Learned | None = None
            for event in learn(spec, control):
                if isinstance(event, events.Finished) and last is not None:
                    error, size = score_error(exact, last.denoiser, levels)
                    yield Judged(error / size)
                yield event
                if isinstance(event, Learned):
                    last = event
                    if last.seconds - judged >= JUDGE_EVERY:
                        judged = last.seconds
                        error, size = score_error(exact, last.denoiser, levels, 500)
                        yield Judged(error / size)

        self.forget()
        level = max(spec.t, 1) if spec.learning.levels == "one" else None
        labelled = spec.learning.dropped < 1
        begun = LearningState(running=True, total=spec.learning.seconds, t=level, labelled=labelled)
        self._update(replace(begun, law=spec.law))
        self._slot.start(stream)

    def toggle_pause(self) -> None:
        """Rests with the network in memory, or goes on."""
        control = self._slot.control
        if control is not None:
            if control.paused:
                control.resume()
            else:
                control.pause()
            self._update(replace(self.state, paused=control.paused))

    def stop(self) -> None:
        """Ends the training; what was learned stays."""
        self._slot.stop()

    def shutdown(self) -> None:
        self._slot.finish()

    def _on_event(self, event: events.Event) -> None:
        match event:
            case Learned(step=step, seconds=seconds, loss=loss, denoiser=denoiser):
                self._update(replace(self.state, step=step, seconds=seconds, loss=loss, trained=True))
                self.network = denoiser
                self.learned.emit()
            case Judged(error=error):
                self._update(replace(self.state, error=error))
            case events.Paused(reason=reason) if reason:
                self._update(replace(self.state, paused=True))
                self.failed.emit(reason, "")
            case events.Finished(outcome="failed", message=message, traceback=traceback):
                self._update(replace(self.state, running=False, paused=False))
                self.failed.emit(message, traceback)
            case events.Finished():
                self._update(replace(self.state, running=False, paused=False))

    def _update(self, state: LearningState) -> None:
        if state != self.state:
            self.state = state
            self.changed.emit(state)

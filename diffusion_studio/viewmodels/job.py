"""The one way across threads: a generator of events on its own thread, told on the window's thread."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from PySide6.QtCore import QCoreApplication, QObject, QThread, QTimer, Signal

from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.jobs.events import Event, Finished
from diffusion_studio.engine.jobs.failures import words_for
from diffusion_studio.engine.machine.helper_threads import work_as_is_fastest
from diffusion_studio.engine.machine.memory import kept

Post = Callable[[Event], None]
Stream = Callable[[Control, Post], Iterator[Event]]
TICK = 33  # ms


class _Thread(QThread):
    """Runs a stream to its end and puts every event into the mailbox; the last one is `Finished`."""

    def __init__(self, stream: Stream, control: Control, mailbox: deque[Event]) -> None:
        super().__init__()
        self._stream = stream
        self._control = control
        self._mailbox = mailbox

    def run(self) -> None:
        work_as_is_fastest()
        kept.give_back()
        try:
            for event in self._stream(self._control, self._mailbox.append):
                if isinstance(event, Finished):
                    finished = event
                    break
                self._mailbox.append(event)
            else:
                finished = Finished("stopped" if self._control.stopped else "done")
        except Cancelled:
            finished = Finished("stopped")
        except BaseException as error:
            finished = Finished("failed", words_for(error), traceback.format_exc())
        self._mailbox.append(finished)


class Job(QObject):
    """A long piece of work beside the window."""

    told = Signal(object)  # every Event, in order; Finished is the last one

    def __init__(self, stream: Stream, parent: QObject | None = None, tick: int = TICK) -> None:
        super().__init__(parent)
        self.control = Control()
        self._mailbox: deque[Event] = deque()
        self._thread = _Thread(stream, self.control, self._mailbox)
        self._timer = QTimer(self, interval=tick)
        self._timer.timeout.connect(self._deliver)
        self.done = False

    def start(self) -> None:
        self._thread.start()
        self._timer.start()

    def stop(self) -> None:
        """Asks the job to end in good order."""
        self.control.stop()

    def finish(self, milliseconds: int = 10_000) -> bool:
        """Stops the job, waits for its thread and delivers what is left; for closing the window."""
        self.stop()
        ended = self._thread.wait(milliseconds)
        if not ended:  # whoever asks may go now, but a thread that goes before its end ends the program
            self._thread.setParent(QCoreApplication.instance())
        self._deliver()
        return ended

    def _deliver(self) -> None:
        while self._mailbox and not self.done:
            event = self._mailbox.popleft()
            if isinstance(event, Finished):
                self._thread.wait()
                self._timer.stop()
                self.done = True
            self.told.emit(event)


class Slot(QObject):
    """Room for one job at a time: a new one starts when the one before has ended."""

    told = Signal(object)

    def __init__(self, parent: QObject | None = None, tick: int = TICK) -> None:
        super().__init__(parent)
        self._tick = tick
        self._job: Job | None = None
        self._next: Stream | None = None
        self._dropped = False  # nothing that the running job still says is told
        self._withdrawn = False  # what was to come after the running job will not

    @property
    def busy(self) -> bool:
        return self._job is not None

    @property
    def control(self) -> Control | None:
        """The running job's tokens."""
        return self._job.control if self._job else None

    def start(self, stream: Stream) -> None:
        """Starts `stream`; a running job is stopped first, and its last events are not told."""
        if self._job is not None:
            self._next, self._withdrawn = stream, False
            self._job.stop()
            return
        self._job = Job(stream, self, self._tick)
        self._job.told.connect(self._on_event)
        self._job.start()

    def stop(self) -> None:
        """Ends what runs, and what was to come; that one is told as stopped, whatever ran had come to."""
        self._withdrawn = self._withdrawn or self._next is not None
        self._next = None
        if self._job is not None:
            self._job.stop()

    def drop(self) -> None:
        """Stops, and tells nothing that is still said: it is of something that nobody looks at any more."""
        self.stop()
        self._dropped = self._job is not None

    def finish(self, milliseconds: int = 10_000) -> bool:
        """Stops and waits; for closing the window."""
        ended = True
        while self._job is not None and ended:  # what the last events set off is stopped as well
            self._next = None
            ended = self._job.finish(milliseconds)
        return ended

    def _on_event(self, event: Event) -> None:
        following, dropped = self._next, self._dropped
        if isinstance(event, Finished) and self._job is not None:
            if self._withdrawn and event.outcome == "done":
                event = replace(event, outcome="stopped")
            self._job.deleteLater()
            self._job, self._next, self._dropped, self._withdrawn = None, None, False, False
        if following is None:
            if not dropped:
                self.told.emit(event)
        elif isinstance(event, Finished):
            self.start(following)

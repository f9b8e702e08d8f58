"""What to expect of a training on this machine, before it begins and while it is young."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QObject, QTimer, Signal

from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.devices import choose_device
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.training.trial import Trial, tried
from diffusion_studio.viewmodels.job import Post, Slot

WAIT = 1500  # ms without another change before a training is tried
TRYING = tr("It is being found out how long steps take here …")


class Outlook(QObject):
    """Tries the training that would begin, some time after the last change; the newest one counts.

    Only while somebody looks: the trial takes all processors for seconds.
    """

    found = Signal(object)  # Trial, or a sentence in its place: that it is on its way, or why there is none

    def __init__(self, device: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._device = device
        self._slot = Slot(self)
        self._slot.told.connect(self._on_event)
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._try)
        self._images: ImageSet | None = None
        self._config: RunConfig | None = None
        self._seen = self._closed = False
        self._known = False  # whether what was found is of this config

    def watch(self, seen: bool) -> None:
        """Whether somebody looks at what is found; what was going on while they did is given up."""
        if seen == self._seen:
            return
        self._seen = seen
        if self._known:
            return
        self._timer.stop()
        self._slot.drop()
        self._wait()

    def use_device(self, name: str) -> None:
        """Tries on this device from now on."""
        self._device = name
        self.look(self._config)

    def take(self, images: ImageSet | None) -> None:
        """The images that a training would begin with; None while there are none."""
        self._images = images
        self.look(self._config)

    def look(self, config: RunConfig | None) -> None:
        """Tries this before long, unless something else is to be tried by then; None: nothing begins now."""
        self._timer.stop()
        self._slot.drop()
        self._config, self._known = config, False
        self._wait()

    def _wait(self) -> None:
        nothing = self._config is None or self._images is None
        tries = self._seen and not nothing and not self._closed
        self.found.emit(TRYING if tries else "")
        if tries:
            self._timer.start(WAIT)

    def shutdown(self) -> None:
        """Gives up and waits; what is told on the way to the end begins nothing any more."""
        self._closed = True
        self._timer.stop()
        self._slot.finish()

    def _try(self) -> None:
        config, images, name = self._config, self._images, self._device
        if config is None or images is None:
            return

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            yield tried(config, images, choose_device(name), lambda: control.stopped)

        self._slot.start(stream)

    def _on_event(self, event: events.Event) -> None:
        match event:
            case Trial() if self._config is not None:
                self._know(event)
            case events.Finished(outcome="failed", message=message):
                self._know(tr("How long a training takes here cannot be said. {reason}", reason=message))

    def _know(self, found: Trial | str) -> None:
        self._known = True
        self.found.emit(found)

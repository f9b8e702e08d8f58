"""A training beside the window that can be steered, whatever is trained."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from diffusion_studio.viewmodels.job import Slot

TICK = 100  # ms between two looks at what it told, which is no more than four times a second
LONG = 60_000  # ms: the last step of a large network takes a while to save


class SteeredTraining(QObject):
    """Pauses, resumes and ends one training at a time; subclasses begin it.

    Args:
        device: the name of the device to train on, or "auto".
    """

    told = Signal(object)  # every Event, in order; Finished is the last one

    def __init__(self, device: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._device = device
        self._slot = Slot(self, TICK)
        self._slot.told.connect(self.told)

    def use_device(self, name: str) -> None:
        """Trains on this device from the next training on, by its name or "auto"."""
        self._device = name

    @property
    def busy(self) -> bool:
        return self._slot.busy

    def _ask(self, wish: object) -> None:
        """Asks a running training to change something from its next step on."""
        if self._slot.control is not None:
            self._slot.control.ask(wish)

    def pause(self) -> None:
        if self._slot.control is not None:
            self._slot.control.pause()

    def resume(self) -> None:
        if self._slot.control is not None:
            self._slot.control.resume()

    def stop(self) -> None:
        """Asks it to save and to end."""
        self._slot.stop()

    def shutdown(self) -> None:
        """Stops and waits; the last checkpoint is saved."""
        self._slot.finish(LONG)

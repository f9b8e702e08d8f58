"""What a person sets for the whole window, kept with what it remembers."""

from __future__ import annotations

from typing import Any, Literal

from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.describe import Choice, knob, with_value
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.viewmodels.remembered import Memory


class Settings(Choice):
    """Everything that is set for the window and not for one page."""

    theme: Literal["system", "light", "dark"] = knob(
        "system",
        title=tr("colours"),
        words={"system": tr("as the system is"), "light": tr("light"), "dark": tr("dark")},
        help=tr("Light or dark colours."),
    )
    language: str = knob(
        "system", title=tr("language"), help=tr("Of everything in the window. It counts from the next start.")
    )
    text_size: int = knob(
        100,
        title=tr("text size"),
        unit="%",
        ge=80,
        le=200,
        help=tr("Of all text, against that of the system."),
    )
    motion: Literal["system", "full", "less"] = knob(
        "system", title=tr("motion"),
        words={"system": tr("as the system says"), "full": tr("full"), "less": tr("less")},
        help=tr("Less motion: nothing plays by itself."),
    )  # fmt: skip
    device: str = knob("auto", title=tr("computes on"), help=tr("What trainings and chains are computed on."))
    threads: int = knob(
        0, title=tr("threads"), ge=0, le=256, words={0: tr("auto")},
        help=tr("How many processors are used at once. It counts from the next start."),
    )  # fmt: skip
    notify: bool = knob(
        True, title=tr("tell of the end of work"),
        help=tr("A message of the system when long work ends and the window is not in front."),
    )  # fmt: skip
    sound: bool = knob(False, title=tr("with a sound"), help=tr("A beep at the end of long work."))
    runs: str = knob(
        "", title=tr("runs are kept in"), help=tr("The folder of trainings. It counts from the next start.")
    )


class SettingsModel(QObject):
    """The settings, each under its own name in the memory."""

    changed = Signal(object)  # Settings
    hint_wanted = Signal()

    def __init__(self, memory: Memory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._memory = memory
        self.state = restored(memory)

    def edit(self, path: str, value: Any) -> None:
        """Sets one of them; a value that cannot be changes nothing."""
        try:
            self._show(with_value(self.state, path, value))
        except Refused:
            self.changed.emit(self.state)  # the field shows what stands

    def reset(self) -> None:
        """Everything as at the first start."""
        self._show(Settings())

    @property
    def hint_due(self) -> bool:
        """Whether the hint of the first start was not shown yet."""
        return self._memory.get("hinted") is not True

    def hinted(self) -> None:
        """It was shown: once is enough."""
        self._memory.set("hinted", True)

    def show_hint_again(self) -> None:
        self.hint_wanted.emit()

    def _show(self, settings: Settings) -> None:
        for name in Settings.model_fields:
            value = getattr(settings, name)
            if value != getattr(self.state, name):
                self._memory.set(name, value)
        self.state = settings
        self.changed.emit(settings)


def restored(memory: Memory) -> Settings:
    """The settings of the last time; what makes no sense takes its default."""
    settings = Settings()
    for name in Settings.model_fields:
        try:
            settings = with_value(settings, name, memory.get(name, getattr(settings, name)))
        except Refused:
            continue
    return settings

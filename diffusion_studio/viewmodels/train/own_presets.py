"""Presets that a person made: all parameters but the images, under a name, in the memory of the window."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.train.memory import remembered_config
from diffusion_studio.viewmodels.train.model import TrainViewModel

PRESETS = "presets"  # in the window's memory
MOST, MOST_NAME = 50, 40


class OwnPresets(QObject):
    """Saves the parameters of the Train page under names, and takes them from there."""

    changed = Signal(object)  # list[str], the names in their order

    def __init__(self, training: TrainViewModel, memory: Memory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._training, self._memory = training, memory

    @property
    def names(self) -> list[str]:
        """Of those that this version can read."""
        return sorted((name for name in self._saved() if self._config(name) is not None), key=str.casefold)

    def save(self, name: str) -> None:
        """Keeps the parameters of now; one of the same name gives way."""
        name = " ".join(name.split())[:MOST_NAME]
        saved = self._saved()
        if name and (name in saved or len(saved) < MOST):
            content = self._training.config.model_dump(mode="json")
            content["data"].pop("source")
            self._put({**saved, name: content})

    def remove(self, name: str) -> None:
        self._put({known: content for known, content in self._saved().items() if known != name})

    def apply(self, name: str) -> None:
        """Takes its parameters, as one step of undo; the images stay. Not while something trains."""
        config = self._config(name)
        if config is not None and not self._training.state.busy:
            self._training.editor.set(config)

    def _config(self, name: str) -> RunConfig | None:
        """The parameters under a name, for the images at hand."""
        content = self._saved().get(name)
        if not isinstance(content, dict) or not isinstance(data := content.get("data"), dict):
            return None
        source = self._training.config.data.source
        return remembered_config({**content, "data": {**data, "source": source}})

    def _saved(self) -> dict[str, Any]:
        content = self._memory.get(PRESETS)
        return content if isinstance(content, dict) else {}

    def _put(self, saved: dict[str, Any]) -> None:
        self._memory.set(PRESETS, saved)
        self.changed.emit(self.names)

"""The middle of the Train page: the images, or the training on them."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.viewmodels.train.state import TrainState
from diffusion_studio.widgets.forms.segmented import Segmented

CHOICES = (
    (
        "images",
        tr("Images"),
        tr("The images as the network will see them, and what there is to know of them"),
    ),
    ("training", tr("Training"), tr("Losses, errors by timestep and samples")),
)


class TrainMiddle(QWidget):
    """Other images come into sight when they are chosen, and the training when it begins.

    Args:
        images: where images are looked at.
        empty: what stands in place of a training that has not begun.
        live: the training.
    """

    def __init__(self, images: QWidget, empty: QWidget, live: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._images, self._empty, self._live = images, empty, live
        self._trained = False
        self.choice, self.stack = Segmented(tr("What is seen in the middle")), QStackedWidget()
        self.choice.set_options(CHOICES)
        for widget in (empty, live, images):
            self.stack.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self.choice, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.stack, 1)
        self.choice.changed.connect(self.look_at)
        self.look_at("training")

    def currentWidget(self) -> QWidget | None:
        """What is seen."""
        return self.stack.currentWidget()

    def look_at(self, key: str) -> None:
        """Brings the images or the training into sight."""
        self.choice.set_value(key)
        training = self._live if self._trained else self._empty
        self.stack.setCurrentWidget(self._images if key == "images" else training)

    def show_state(self, before: TrainState | None, state: TrainState) -> None:
        """What a person has just done is what is seen."""
        self._trained = state.run is not None
        key = self.choice.value
        if before is not None and before.config.data != state.config.data and not state.busy:
            key = "images"
        if before is not None and (before.run != state.run or (state.busy and not before.busy)):
            key = "training"
        self.look_at(key)

"""The training images nearest to each sample: learned, or remembered?"""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.viewmodels.sample.side_models import NearestFound
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.look.theme import label, unbroken

_HIGH = 180  # pixels that a grid of small pictures takes at least


class NearestPanel(Card):
    """One row for each sample."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.grid = ImageGrid(tr("Nearest training images"), selectable=False)
        self.grid.setMinimumHeight(_HIGH)
        self.grid.set_empty_text(tr("Looking through the training images …"))
        self.words = label("", "muted")
        self.words.setWordWrap(True)
        self.body.addWidget(self.grid, 1)
        self.body.addWidget(self.words)

    def show_found(self, found: NearestFound) -> None:
        self.grid.set_columns(found.columns)
        titles = [tr("here"), tr("exact"), *("123456"[: found.columns - 2])]
        self.grid.set_column_titles(titles)
        self.grid.set_images(found.images)
        self.grid.set_captions(list(found.captions))
        words = tr(
            "here: the estimate of the image · exact: what a network that only remembers the training "
            "images would see in the same state · 1 2 3: the nearest training images. "
            "Numbers: root mean square difference per pixel to “here”; the smallest to a "
            "training image is {d:.3f}.",
            d=found.closest,
        )
        self.words.setText(unbroken(words))

    def show_failure(self, sentence: str) -> None:
        self.grid.set_images(None)
        self.grid.set_empty_text(sentence)
        self.words.setText("")

"""The samples that a training draws, from the first to the newest, and how good they are."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.pages.train.parts import measures
from diffusion_studio.viewmodels.train.preview_history import PreviewHistory
from diffusion_studio.viewmodels.train.state import step_text
from diffusion_studio.widgets.forms.slider import ThinSlider
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.look.theme import label
from diffusion_studio.widgets.plots.quality_view import QualityView

COMING = tr("The first samples appear here after a few seconds of training.")
NONE = tr("This run ended before it drew samples. Resume it, and they appear here.")
Marks = tuple[tuple[int, str], ...]  # (step, what was changed)


class SamplesCard(Card):
    """Shows the newest samples, or those that the slider goes back to."""

    def __init__(self, previews: PreviewHistory, parent: QWidget | None = None) -> None:
        super().__init__(tr("Samples"), parent)
        self._previews = previews
        self.grid = ImageGrid(tr("Samples of the training"))
        self.grid.set_empty_text(COMING)
        self.history = ThinSlider()
        self.history.setRange(0, 0)
        self.history.setAccessibleName(tr("Step of training whose samples are shown"))
        self.history.setToolTip(tr("Look back at earlier samples; the noise is always the same"))
        self.history.valueChanged.connect(self._show)
        ends = QHBoxLayout()
        ends.addWidget(label(tr("first"), "muted"))
        ends.addWidget(self.history, 1)
        ends.addWidget(label(tr("now"), "muted"))
        self.quality = QualityView()
        self.quality.show_measures(None)
        self.body.addWidget(self.grid, 1)
        self.body.addLayout(ends)
        self.body.addWidget(self.quality)

    def show_phase(self, phase: str) -> None:
        """What is said while there are none."""
        self.grid.set_empty_text(NONE if phase == "idle" else COMING)

    def show_previews(self, marks: Marks) -> None:
        """There are others; who looked at the newest sees the newest of now."""
        previews = self._previews
        last = max(len(previews) - 1, 0)
        self.quality.set_history([measures(k, q) for k, q in sorted(previews.quality.items())], marks)
        follows = self.history.value() >= self.history.maximum()
        self.history.setRange(0, last)
        self.history.setEnabled(last > 0)
        if follows:
            self.history.setValue(last)
        self._show(self.history.value())

    def _show(self, index: int) -> None:
        previews = self._previews
        if not 0 <= index < len(previews):
            self.grid.set_images(None)
            self.set_title(tr("Samples"))
            self.quality.show_measures(None)
            return
        step = previews.step(index)
        measured = previews.quality.get(step)
        self.quality.show_measures(None if measured is None else measures(step, measured))
        self.grid.set_images(previews.images(index))
        self.set_title(tr("Samples"), tr("EMA · DDIM 20 · step {step:,}", step=step), step_text(step))

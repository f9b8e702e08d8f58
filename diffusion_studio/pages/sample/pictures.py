"""The pictures of the Sample page: one state of every sample, A beside B, or the whole chain as a strip."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from diffusion_studio.viewmodels.sample.chain_views import STRIP_ROWS, Frame, Strip
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.look.theme import label

ONE, TWO, STRIP = range(3)


class SamplePictures(QStackedWidget):
    """Shows a frame, two frames with their difference, or a strip."""

    sample_chosen = Signal(object)  # int, or None for all
    state_chosen = Signal(int)  # a column of the strip

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.grid = ImageGrid()
        self.grid.set_empty_text("The chain is being computed …")
        self.grid.selected.connect(self._choose)
        self.addWidget(self.grid)
        self.addWidget(self._build_two())
        self.addWidget(self._build_strip())
        self._columns: tuple[int, ...] = ()
        self._chosen: int | None = None
        self._strip_wanted = False

    def _build_two(self) -> QWidget:
        holder = QWidget()
        layout = QGridLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        self.first, self.second, self.difference = (ImageGrid() for _ in range(3))
        self.names = [label("A", "strong"), label("B", "strong"), label("A − B", "strong")]
        for place, grid in enumerate((self.first, self.second, self.difference)):
            row, column = (0, place) if place < 2 else (2, 0)
            head = QHBoxLayout()
            head.addWidget(self.names[place])
            head.addStretch(1)
            if place == 2:
                self.apart = label("", "muted")
                head.addWidget(self.apart)
            layout.addLayout(head, row, column, 1, 1 if place < 2 else 2)
            layout.addWidget(grid, row + 1, column, 1, 1 if place < 2 else 2)
            layout.setRowStretch(row + 1, 1)
            grid.selected.connect(self._choose)
        self.difference.setToolTip("Blue: less in A than in B; orange: more. The largest one is brightest.")
        return holder

    def _build_strip(self) -> QWidget:
        holder = QWidget()
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        self.strip = ImageGrid(centre=True)
        self.strip.set_empty_text("The chain is being computed …")
        self.strip.selected.connect(self._choose_state)
        layout.addWidget(self.strip, 1)
        caption = QLabel(f"rows: samples (the first {STRIP_ROWS} at most) · columns: t, from noise to image")
        caption.setProperty("role", "muted")
        caption.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        layout.addWidget(caption)
        return holder

    # --- what is shown ----------------------------------------------------------------------------------

    def show_frame(self, frame: Frame) -> None:
        if frame.other is None or frame.difference is None:
            self.grid.set_images(frame.images)
            self.grid.set_captions(list(frame.captions))
        else:
            self.first.set_images(frame.images)
            self.second.set_images(frame.other)
            self.difference.set_images(frame.difference)
            self.difference.set_captions(list(frame.distances))
            mean = sum(map(float, frame.distances)) / max(len(frame.distances), 1)
            self.apart.setText(f"root mean square {mean:.3f}")
        if not frame.rough or self.currentIndex() != STRIP:
            self._turn(frame.other is not None)

    def show_strip(self, strip: Strip) -> None:
        self._columns = strip.columns
        self.strip.set_columns(len(strip.columns))
        self.strip.set_column_titles(strip.titles)
        self.strip.set_images(strip.images)

    def set_names(self, first: str, second: str) -> None:
        self.set_titles(f"A · {first}", f"B · {second}", "A − B")

    def set_titles(self, first: str, second: str, difference: str) -> None:
        """What the two frames and their difference are."""
        for name, text in zip(self.names, (first, second, difference), strict=True):
            name.setText(text)

    def set_strip(self, on: bool) -> None:
        self._strip_wanted = on
        self._turn(self.currentIndex() == TWO or self._two)

    def set_position(self, position: int) -> None:
        """Marks the column of the strip that stands nearest."""
        if self._columns:
            near = min(range(len(self._columns)), key=lambda k: abs(self._columns[k] - position))
            self.strip.highlight_column(near)

    def set_sample(self, sample: int | None) -> None:
        self._chosen = sample
        for grid in (self.grid, self.first, self.second, self.difference):
            if grid.selection != sample:
                grid.set_selection(sample)

    _two = False

    def _turn(self, two: bool) -> None:
        self._two = two
        self.setCurrentIndex(STRIP if self._strip_wanted else TWO if two else ONE)

    # --- what the person does ---------------------------------------------------------------------------

    def _choose(self, index: int) -> None:
        """A second click on the same sample goes back to the mean of all."""
        self.sample_chosen.emit(None if index == self._chosen else index)

    def _choose_state(self, index: int) -> None:
        if self._columns:
            self.state_chosen.emit(self._columns[index % len(self._columns)])

"""The pictures of the Sample page: one state of every sample, A beside B, or the whole chain as a strip."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from diffusion_studio.core.words import number, tr
from diffusion_studio.viewmodels.sample.chain_views import STRIP_ROWS, Frame, Strip
from diffusion_studio.viewmodels.sample.state import PicturesState, SampleState
from diffusion_studio.widgets.frame.enlarge import can_enlarge
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.images.strip import StripGrid
from diffusion_studio.widgets.images.veil import Veil
from diffusion_studio.widgets.look.theme import label, unbroken

ONE, TWO, STRIP = range(3)
SOON = 5  # looks


class SamplePictures(QStackedWidget):
    """Shows a frame, two frames with their difference, or a strip."""

    sample_chosen = Signal(object)  # int, or None for all
    state_chosen = Signal(int)  # a column of the strip

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.grid = ImageGrid(tr("Samples"))
        self.grid.set_empty_text(tr("The chain is being computed …"))
        self.grid.selected.connect(self._choose)
        self.addWidget(self.grid)
        self.addWidget(self._build_two())
        self.addWidget(self._build_strip())
        can_enlarge(self, tr("Pictures of the chain"))
        self.veil = Veil(self)
        self._looks = 0  # in a row at pictures of chains that are not on show any more
        self._columns: tuple[int, ...] = ()
        self._whole: Strip | None = None
        self._position = 0
        self.strip.resized.connect(self._fit_strip)
        self._chosen: int | None = None
        self._strip_wanted, self._two = False, False
        self._near = -1  # the marked column of the strip

    def _build_two(self) -> QWidget:
        holder = QWidget()
        layout = QGridLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        titles = ("A", "B", "A − B")
        self.first, self.second, self.difference = (ImageGrid(title) for title in titles)
        self.names = [label(title, "strong") for title in titles]
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
        self.difference.setToolTip(
            tr("Blue: less in A than in B; orange: more. The largest one is brightest.")
        )
        return holder

    def _build_strip(self) -> QWidget:
        holder = QWidget()
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        self.strip = StripGrid(tr("The chain, from noise to image"), centre=True)
        self.strip.set_empty_text(tr("The chain is being computed …"))
        self.strip.selected.connect(self._choose_state)
        layout.addWidget(self.strip, 1)
        words = tr("rows: samples (the first {n} at most) · columns: t, from noise to image", n=STRIP_ROWS)
        caption = QLabel(unbroken(words))
        caption.setProperty("role", "muted")
        caption.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        caption.setWordWrap(True)
        layout.addWidget(caption)
        return holder

    # --- what is shown ----------------------------------------------------------------------------------

    def show_state(self, before: SampleState | None, state: SampleState) -> None:
        """Renders what differs from the state before."""
        seen, was = state.pictures, PicturesState() if before is None else before.pictures
        if seen.layout != was.layout:
            self._show_layout(seen.layout == "strip")
        if seen.frame is not None and seen.frame is not was.frame:
            self.show_frame(seen.frame)
        if seen.strip is not None and seen.strip is not was.strip:
            self.show_strip(seen.strip)
        self._show_age(state)
        self._show_titles(state)
        self._show_position(state.player.position)
        self._show_sample(seen.sample)

    def _show_age(self, state: SampleState) -> None:
        """Dims pictures of another denoiser at once, and old ones of the same if newer do not come soon."""
        self._looks = self._looks + 1 if state.pictures.old and state.chains.busy else 0
        self.veil.say(state.progress if state.opens_another or self._looks > SOON else "")

    def show_frame(self, frame: Frame) -> None:
        if frame.other is None or frame.difference is None:
            self.grid.set_images(frame.images)
            self.grid.set_captions(list(frame.captions))
        else:
            self.first.set_images(frame.images)
            self.second.set_empty_text(frame.missing)
            self.second.set_images(frame.other)
            self.difference.set_images(frame.difference)
            self.difference.set_captions([number(size, ".3f") for size in frame.distances])
            mean = sum(frame.distances) / max(len(frame.distances), 1)
            self.apart.setText(tr("root mean square {mean:.3f}", mean=mean) if frame.distances else "")
        if not frame.rough or self.currentIndex() != STRIP:
            self._turn(frame.other is not None)

    def show_strip(self, strip: Strip) -> None:
        """As many of its states and samples as can be seen in the present room."""
        self._whole = strip
        self._fit_strip()

    def _fit_strip(self) -> None:
        if (strip := self._whole) is None:
            return
        kept, rows = self.strip.with_room(len(strip.columns), len(strip.images) // len(strip.columns))
        cells = strip.images.reshape(-1, len(strip.columns), *strip.images.shape[1:])[:rows, kept]
        self._columns, self._near = tuple(strip.columns[k] for k in kept), -1
        self.strip.set_columns(len(kept))
        self.strip.set_column_titles([strip.titles[k] for k in kept])
        self.strip.set_images(cells.reshape(-1, *strip.images.shape[1:]))
        self._show_position(self._position)

    def _show_titles(self, state: SampleState) -> None:
        """What the two frames and their difference are."""
        tree, names = state.parameters.tree, [track.label for track in state.chains.tracks]
        if state.pictures.layout == "guided":
            titles = (tr("with guidance"), tr("without, γ = 0"), tr("what it changes"))
        elif 0 <= tree.compared < len(names) and tree.active < len(names):
            titles = (f"A · {names[tree.active]}", f"B · {names[tree.compared]}", "A − B")
        else:
            return
        for name, text in zip(self.names, titles, strict=True):
            name.setText(text)

    def _show_layout(self, strip: bool) -> None:
        self._strip_wanted = strip
        self._turn(self.currentIndex() == TWO or self._two)

    def _show_position(self, position: int) -> None:
        """Marks the column of the strip that stands nearest."""
        self._position = position
        if self._columns:
            near = min(range(len(self._columns)), key=lambda k: abs(self._columns[k] - position))
            if near != self._near:
                self._near = near
                self.strip.highlight_column(near)

    def _show_sample(self, sample: int | None) -> None:
        self._chosen = sample
        for grid in (self.grid, self.first, self.second, self.difference):
            here = sample if sample is not None and sample < grid.count else None
            if grid.selection != here:
                grid.set_selection(here)

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

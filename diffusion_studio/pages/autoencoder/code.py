"""The space of codes: points and map under the pointer, single latents, the way between two images."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QScrollArea, QSplitter, QVBoxLayout, QWidget

from diffusion_studio.core.words import number, tr
from diffusion_studio.engine.autoencoder.events import Looked
from diffusion_studio.engine.files.pictures import mosaic
from diffusion_studio.engine.runs.autoencoder_config import VAEConfig
from diffusion_studio.viewmodels.autoencoder.latent import MAP_SIDE, WAY, LatentSpace, LatentState
from diffusion_studio.widgets.codes.plane import CodePlane
from diffusion_studio.widgets.forms.controls import QuietCombo
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.forms.slider import ThinSlider
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.look.theme import label, subscripts, tabular

MOST_SLIDERS = 32
_FINE = 100  # positions of a slider for one standard deviation
_SMALLEST = 16  # pixels of a picture on the way; below it stand in two rows


class CodeView(QSplitter):
    """The plane on the left, what is decoded on the right."""

    def __init__(self, latent: LatentSpace, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._latent = latent
        self._names: tuple[str, ...] = ()
        self._codes, self._labels = np.empty((0, 0), np.float32), np.empty(0, np.int64)
        self._ways = 0  # how many ways were asked for
        self._drawn = ((0, 1), 3.0)  # axes and reach of the points
        self.plane, self.shown = CodePlane(), Segmented(tr("What is drawn in the plane of codes"))
        self.shown.set_options([
            ("points", tr("Codes"), tr("Where the encoder puts images")),
            ("map", tr("Map"), tr("What each place of the plane decodes to")),
        ])  # fmt: skip
        self.shown.set_value("points")
        self.axes = (QuietCombo(), QuietCombo())
        self.picture = ImageGrid(tr("Decoded here"), selectable=False)
        self.way = _Way(tr("From one to another"), selectable=False)
        self.picture.set_empty_text(tr("Train first; then move over the plane."))
        self.way.set_empty_text(tr("Decoded codes between those of two images."))
        self.another = QPushButton(tr("Another way"))
        self.sliders = _Sliders()
        self._build()
        self._connect()

    def _build(self) -> None:
        card = Card(tr("Plane of codes"))
        for place, combo in enumerate(self.axes):
            combo.setAccessibleName((tr("Latent to the right"), tr("Latent upwards"))[place])
            card.add_header_widget(combo)
            combo.hide()  # until there is a choice
        card.add_header_widget(self.shown)
        card.body.addWidget(self.plane, 1)
        self.addWidget(card)
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        here, latents = Card(tr("Decoded here")), Card(tr("Single latents"))
        way = Card(tr("From one to another"))
        self.picture.setMinimumHeight(96)
        here.body.addWidget(self.picture)
        latents.body.addWidget(self.sliders)
        way.add_header_widget(self.another)
        way.body.addWidget(self.way)
        self.way.setMinimumHeight(64)
        for part, stretch in ((here, 3), (latents, 3), (way, 1)):
            column.addWidget(part, stretch)
        self.addWidget(side)
        self.setHandleWidth(12)
        self.setChildrenCollapsible(False)
        self.setStretchFactor(0, 3)
        self.setStretchFactor(1, 2)
        self.setSizes([480, 300])

    def _connect(self) -> None:
        latent = self._latent
        self.plane.pointed.connect(latent.point_at)
        self.shown.changed.connect(lambda shown: self.show_map(shown == "map"))
        self.another.clicked.connect(lambda: self._travel())
        self.sliders.moved.connect(latent.set_latent)
        latent.changed.connect(self.show_place)
        latent.decoded.connect(self.picture.set_images)
        latent.mapped.connect(self._show_map)
        latent.travelled.connect(self.way.set_images)
        for combo in self.axes:
            combo.activated.connect(lambda _: latent.choose_axes(*(c.currentIndex() for c in self.axes)))

    def show_map(self, mapped: bool) -> None:
        """The map in the plane, or the codes of images."""
        self.shown.set_value("map" if mapped else "points")
        self.plane.set_shown("map" if mapped else "points")
        self._latent.set_mapping(mapped)

    def set_class_names(self, names: tuple[str, ...]) -> None:
        """What the labels count."""
        self._names = names

    def show_looked(self, seen: Looked) -> None:
        """Codes of another moment."""
        first = self._codes.shape[1:] != seen.codes.shape[1:]
        self._codes, self._labels = seen.codes, seen.labels
        self.plane.set_rings(isinstance(seen.model.config, VAEConfig))
        if first:
            self._show_axes(seen.codes.shape[1])
        self._show_points()
        self._travel(another=first)

    def _show_axes(self, size: int) -> None:
        for place, combo in enumerate(self.axes):
            combo.clear()
            combo.addItems([f"z{subscripts(k + 1)}" for k in range(size)])
            combo.setCurrentIndex(min(place, size - 1))
            combo.setVisible(size > 2)
        self.sliders.set_count(min(size, MOST_SLIDERS))

    def _show_points(self) -> None:
        first, second = self._latent.state.axes
        if max(first, second) >= self._codes.shape[1]:
            return
        names = [self._names[k] if 0 <= k < len(self._names) else "" for k in self._labels.tolist()]
        points = self._codes[:, [first, second]]
        self.plane.set_points(points, names, self._latent.state.reach)

    def show_place(self, state: LatentState) -> None:
        """Where one stands."""
        if len(state.code):
            first, second = state.axes
            self.plane.set_place(float(state.code[first]), float(state.code[second]))
            self.sliders.show_code(state.code, state.reach)
            self._show_points_of(state)

    def _show_points_of(self, state: LatentState) -> None:
        if [combo.currentIndex() for combo in self.axes] != list(state.axes):
            for combo, axis in zip(self.axes, state.axes, strict=True):
                combo.setCurrentIndex(axis)
        if self._drawn != (state.axes, state.reach):
            self._drawn = (state.axes, state.reach)
            self._show_points()

    def _show_map(self, pictures: NDArray[np.uint8]) -> None:
        self.plane.set_map(mosaic(pictures, MAP_SIDE))

    def _travel(self, another: bool = True) -> None:
        """Between two images, others each time that one asks."""
        count = len(self._codes)
        if count < 2:
            return
        self._ways += another
        random = np.random.default_rng(self._ways)
        first, second = random.choice(count, 2, replace=False)
        self._latent.travel(int(first), int(second))


class _Way(ImageGrid):
    """The pictures on a way: in a row, or in two where one leaves them too little to be seen."""

    def resizeEvent(self, event: QResizeEvent) -> None:
        fits = self.width() >= WAY * (_SMALLEST + self.apart) - self.apart
        self.set_columns(WAY if fits else math.ceil(WAY / 2))
        super().resizeEvent(event)


class _Sliders(QScrollArea):
    """One slider for each latent."""

    moved = Signal(int, float)  # number, value

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[tuple[QWidget, ThinSlider, QLabel]] = []
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        inner = QWidget()
        self._column = QVBoxLayout(inner)
        self._column.setContentsMargins(0, 0, 8, 0)
        self._column.setSpacing(2)
        self._column.addStretch(1)
        self.setWidget(inner)
        inner.setAutoFillBackground(False)  # the card is seen through it

    def set_count(self, count: int) -> None:
        """As many as there are latents."""
        for holder, _, _ in self._rows:
            holder.hide()
            holder.deleteLater()
        self._rows = [self._row(latent) for latent in range(count)]

    def _row(self, latent: int) -> tuple[QWidget, ThinSlider, QLabel]:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        slider, value = ThinSlider(), label(number(0.0, ".2f"), "muted")
        slider.setRange(-3 * _FINE, 3 * _FINE)
        slider.setAccessibleName(tr("Latent {n}", n=latent + 1))
        slider.valueChanged.connect(lambda at: self.moved.emit(latent, at / _FINE))
        slider.reset_requested.connect(lambda: self.moved.emit(latent, 0.0))
        value.setFont(tabular(value.font()))
        value.setMinimumWidth(44)
        row.addWidget(label(f"z{subscripts(latent + 1)}", "muted"))
        row.addWidget(slider, 1)
        row.addWidget(value)
        self._column.insertWidget(latent, holder)
        return holder, slider, value

    def show_code(self, code: NDArray[np.float32], reach: float) -> None:
        """The values of all latents."""
        most = round(reach * _FINE)
        for (_, slider, value), at in zip(self._rows, code.tolist(), strict=False):
            slider.blockSignals(True)
            slider.setRange(-most, most)
            slider.setValue(round(at * _FINE))
            slider.blockSignals(False)
            value.setText(number(at, ".2f").replace("-", "−"))

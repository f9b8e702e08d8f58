"""The middle of the 2-D page: the plane from above or as a landscape, with words in its corners."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect
from PySide6.QtGui import QContextMenuEvent, QImage, QPainter
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QStackedWidget, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.plane.field import FieldView
from diffusion_studio.pages.plane.guidance import arrows_of, guide_words
from diffusion_studio.viewmodels.plane.state import Look, Particles, PointReading
from diffusion_studio.widgets.frame.enlarge import can_enlarge
from diffusion_studio.widgets.images.drawing_menu import open_drawing_menu
from diffusion_studio.widgets.look.theme import unbroken
from diffusion_studio.widgets.plane.paint import Layers
from diffusion_studio.widgets.plane.plane import PlaneView
from diffusion_studio.widgets.plane.surface import SurfaceView
from diffusion_studio.widgets.plots.math import with_minus_signs

_PATHS = 12  # on the landscape


class PlanePicture(QStackedWidget):
    """Two views of the same."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plane, self.surface = PlaneView(), SurfaceView()
        self.addWidget(self.plane)
        self.addWidget(self.surface)
        can_enlarge(self, tr("Plane"))
        self._look = Look()
        self._field: FieldView | None = None
        self._learning = self._guidance = ""

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """From above the right button chooses where all begin; there the menu key opens it."""
        by_mouse = event.reason() == QContextMenuEvent.Reason.Mouse
        if self.currentWidget() is self.surface or not by_mouse:
            open_drawing_menu(self, event.globalPos())

    def show_look(self, look: Look) -> None:
        """Which view, and what it draws."""
        self._look = look
        trails = look.trails != "off"
        self.plane.set_layers(Layers(look.density, look.contours, look.arrows, look.particles, trails))
        self.setCurrentWidget(self.surface if look.surface else self.plane)
        if look.surface and self._field is not None:
            self.surface.set_field(self._field)
        self._say()

    def show_field(self, field: FieldView) -> None:
        """Density, arrows, errors."""
        self._field = field
        self.plane.set_field(field)
        if self._look.surface:
            self.surface.set_field(field)
        self._say()

    def show_particles(self, particles: Particles) -> None:
        """Dots and their trails."""
        whole = self._look.trails == "whole"
        self.plane.set_particles(particles.x, particles.labels)
        self.plane.set_trails(particles.paths, particles.path_labels, not whole, particles.ages)
        if self._look.surface:
            self.surface.set_trails(particles.paths[:, :_PATHS], particles.path_labels, particles.ages)

    def show_learning(self, words: str) -> None:
        """How far the network is, over a learned field."""
        self._learning = words
        self._say()

    def show_reading(self, reading: PointReading | None) -> None:
        """What is known about the place under the pointer."""
        self.plane.set_words("bottom", "" if reading is None else together(reading_words(reading)))
        self.plane.set_arrows((0.0, 0.0) if reading is None else (reading.x, reading.y), arrows_of(reading))

    def show_guidance(self, words: str) -> None:
        """How far guided particles are from where one would think."""
        self._guidance = words
        self._say()

    def _say(self) -> None:
        field, words = self._field, []
        if field is not None and field.error is not None:
            words.append(error_words(field))
        if field is not None and math.isfinite(field.apart):
            words.append(
                tr(
                    "E and −log pₜ are {f.apart:.2g} nats apart where 99 % lies; lines: the exact one",
                    f=field,
                )
            )
        if self._look.field != "exact" and self._learning:
            words.append(self._learning)
        if self._guidance:
            words.append(self._guidance)
        self.plane.set_words("top", together("\n".join(words)))

    def frame(self) -> NDArray[np.uint8]:
        """The picture as one sees it, (H, W, 3)."""
        if self.currentWidget() is self.plane:
            return self.plane.picture()
        image = self.surface.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)
        return pixels[:, :, 2::-1].copy()

    def save_drawing(self, path: Path, title: str) -> None:
        """Writes the picture as SVG.

        Raises:
            OSError: the file cannot be written.
        """
        view = self.plane if self.currentWidget() is self.plane else self.surface
        path.touch()
        generator = QSvgGenerator()
        generator.setFileName(str(path))
        generator.setSize(view.size())
        generator.setViewBox(QRect(0, 0, view.width(), view.height()))
        generator.setTitle(title)
        painter = QPainter(generator)
        view.draw_scene(painter)
        painter.end()


def together(text: str) -> str:
    """The text with its numbers, pairs and formulas each on one line."""
    text = re.sub(r" ?\([^()\n]*\)", lambda pair: pair[0].replace(" ", "\u00a0"), text)
    return unbroken(re.sub(r"(?<=\w) (?=t$)", "\u00a0", text, flags=re.MULTILINE))


def error_words(field: FieldView) -> str:
    """The numbers that belong to the error map."""
    return tr(
        "Fisher divergence {fisher:.3g}, {relative:.2g} % of E‖s‖²\n"
        "colours: ‖ŝ − s‖² from 0.1 % to 1000 % of E‖s‖²",
        fisher=field.fisher, relative=100 * field.relative,
    )  # fmt: skip


def reading_words(reading: PointReading) -> str:
    """What is known about a place, in two or three lines."""
    sx, sy = reading.score
    lines = [
        tr("({r.x:.2f}, {r.y:.2f})   t = {r.t}   ln p_t = {r.log_density:.3f}", r=reading),
        tr("score ({x:.2f}, {y:.2f})", x=sx, y=sy),
    ]
    if reading.learned is not None:
        x, y = reading.learned
        lines[1] += tr("   learned ({x:.2f}, {y:.2f})", x=x, y=y)
    if reading.guide is not None:
        lines.append(guide_words(reading))
    if reading.flow is not None and reading.exact is not None:
        known = math.isfinite(reading.flow)  # no number is better than one that is not converged
        along = tr("{r.flow:.3f} along the flow", r=reading) if known else tr("the flow did not converge")
        lines.append(tr("ln p_0 = {r.exact:.3f} in closed form, {along}", r=reading, along=along))
    return with_minus_signs("\n".join(lines)).replace("p_t", "pₜ").replace("p_0", "p₀")

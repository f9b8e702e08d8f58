"""What the views of the plane make of little room."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import QRect
from PySide6.QtGui import QColor, QFontMetrics, QGuiApplication, QImage, QPainter

from diffusion_studio.engine.plane.field import Window
from diffusion_studio.pages.plane.picture import together
from diffusion_studio.widgets.plane import overlay
from diffusion_studio.widgets.plane.camera import Camera
from diffusion_studio.widgets.plane.drawing import Drawing
from diffusion_studio.widgets.plane.overlay import _WRAPPED, _within, paint_words
from diffusion_studio.widgets.plane.plane import PlaneView
from diffusion_studio.widgets.plane.surface import SurfaceView


@pytest.mark.parametrize("window", [Window(), Window(-1.0, -2.0, 1.5, 0.5), Window(-9.0, -3.0, 9.0, 3.0)])
@pytest.mark.parametrize("size", [(240, 310), (520, 520), (900, 300)])
def test_that_the_ground_of_the_landscape_fits_in_however_it_is_turned(qtbot, size, window):
    view = SurfaceView()
    qtbot.addWidget(view)
    view.resize(*size)
    view.set_field(SimpleNamespace(window=window, log_density=np.zeros((40, 40))))
    x = np.array([window.left, window.right, window.right, window.left])
    y = np.array([window.bottom, window.bottom, window.top, window.top])
    for turn in np.linspace(0, 2 * math.pi, 25):
        view.turn = turn
        across, down, _ = view.project(x, y, np.zeros(4))
        assert across.min() >= -1 and across.max() <= size[0] + 1
        assert down.min() >= 0 and down.max() <= size[1]


@pytest.mark.parametrize("size", [(302, 303), (303, 302), (303, 303)])
def test_that_no_edge_of_the_plane_is_left_as_it_was_where_a_screen_is_scaled_by_a_half(
    qtbot, monkeypatch, size
):
    view = PlaneView()
    qtbot.addWidget(view)
    view.resize(*size)
    monkeypatch.setattr(view, "devicePixelRatioF", lambda: 1.5)
    screen = QImage(*(math.ceil(1.5 * side) for side in size), QImage.Format.Format_RGB32)
    screen.setDevicePixelRatio(1.5)
    screen.fill(QColor("#ff00ff"))
    view.render(screen)
    pixels = np.frombuffer(screen.constBits(), np.uint32).reshape(screen.height(), screen.width())
    assert not (pixels & 0xFFFFFF == 0xFF00FF).any()


def test_that_words_over_a_small_picture_hide_little_of_it(qapp):
    metrics, room = QFontMetrics(QGuiApplication.font()), QRect(0, 0, 200, 10_000)
    long = "E and −log p are 0.61 nats apart where 99 % lies; lines: the exact one " * 3
    shown = _within(long, metrics, room, 3 * metrics.lineSpacing())
    assert metrics.boundingRect(room, _WRAPPED, shown).height() <= 3 * metrics.lineSpacing()
    assert long.startswith(shown.removesuffix(" …")) and shown.endswith(" …")
    assert _within("short", metrics, room, 3 * metrics.lineSpacing()) == "short"


def test_that_words_that_have_no_room_are_left_out_as_whole_clauses(qapp):
    metrics, room = QFontMetrics(QGuiApplication.font()), QRect(0, 0, 160, 10_000)
    said = together("(0.57, −0.29)   t = 700   ln p = −2.093\nscore (0.55, −0.31)   learned (0.53, −0.2)")
    clauses = said.replace("   ", "\n").split("\n")
    heights = {metrics.boundingRect(room, _WRAPPED, said[: said.index(c)]).height() for c in clauses[1:]}
    for most in heights | {height + 1 for height in heights}:
        shown = _within(said, metrics, room, most).removesuffix(" …")
        assert shown.replace("   ", "\n").split("\n")[-1] in clauses
    assert together("score error 4.6 % of E‖s‖² over all t").endswith("all\u00a0t")


@pytest.mark.parametrize("width", [248, 420])
def test_that_words_are_drawn_as_wide_as_they_were_measured(qapp, monkeypatch, width):
    places = []

    class Painter(QPainter):
        def drawText(self, place, flags, text):
            places.append(place)

    monkeypatch.setattr(overlay, "_within", lambda text, metrics, room, most: places.append(room) or text)
    image = QImage(width, 300, QImage.Format.Format_RGB32)
    painter = Painter(image)
    said = {"top": "learned · 1,319 steps · loss 0.356 · score error 1.4 % over all t"}
    paint_words(painter, Drawing(words=said), Camera(width=width, height=300))
    painter.end()
    measured, drawn = places
    assert measured.width() == drawn.width()


def test_that_words_over_a_narrow_picture_are_small(qapp):
    sizes = []
    for width in (248, 420):
        image = QImage(width, 300, QImage.Format.Format_RGB32)
        painter = QPainter(image)
        paint_words(painter, Drawing(words={"top": "learned"}), Camera(width=width, height=300))
        sizes.append(QFontMetrics(painter.font()).height())
        painter.end()
    assert sizes[0] < sizes[1]

"""What the views of the plane make of little room."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import QRect
from PySide6.QtGui import QFontMetrics, QGuiApplication

from diffusion_studio.engine.plane.field import Window
from diffusion_studio.widgets.plane.overlay import _WRAPPED, _within
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


def test_that_words_over_a_small_picture_hide_little_of_it(qapp):
    metrics, room = QFontMetrics(QGuiApplication.font()), QRect(0, 0, 200, 10_000)
    long = "E and −log p are 0.61 nats apart where 99 % lies; lines: the exact one " * 3
    shown = _within(long, metrics, room, 3 * metrics.lineSpacing())
    assert metrics.boundingRect(room, _WRAPPED, shown).height() <= 3 * metrics.lineSpacing()
    assert long.startswith(shown.removesuffix(" …")) and shown.endswith(" …")
    assert _within("short", metrics, room, 3 * metrics.lineSpacing()) == "short"

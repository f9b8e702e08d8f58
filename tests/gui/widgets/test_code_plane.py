"""The plane of codes and the bars of latents, painted."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion_studio.widgets.codes.bars import LatentBars
from diffusion_studio.widgets.codes.plane import CodePlane
from diffusion_studio.widgets.look.theme import theme

SIDE = 121


@pytest.fixture(params=["light", "dark"])
def mode(qapp, request):
    theme().set_mode(request.param)
    yield request.param
    theme().set_mode("system")


@pytest.mark.parametrize("shade", [0, 255])
def test_that_the_rings_are_seen_over_pictures_in_both_themes(qtbot, mode, shade):
    plane = CodePlane()
    qtbot.addWidget(plane)
    plane.resize(SIDE, SIDE)
    plane.set_map(np.full((16, 16, 1), shade, np.uint8))
    plane.set_shown("map")
    plane.set_place(2.9, 2.9)  # in a corner
    image = plane.grab().toImage()
    across = [image.pixelColor(x, image.height() // 2).lightness() for x in range(image.width())]
    assert max(abs(lightness - shade) for lightness in across) > 120


def test_that_a_small_bar_is_told_by_a_digit_more(qtbot, monkeypatch):
    bars, told = LatentBars(), []
    qtbot.addWidget(bars)
    bars.resize(200, 120)
    bars.set_values((0.04, 3.21), 0.01)
    monkeypatch.setattr(
        "diffusion_studio.widgets.codes.bars.number", lambda value, form: told.append((value, form)) or ""
    )
    bars.grab()
    assert told == [(0.04, ".2f"), (3.21, ".1f")]

"""The per-timestep panel: its curves, axes, comparison and history."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication

from diffusion_studio.widgets.plots import Compared, Overlay
from diffusion_studio.widgets.plots.timestep_panel import TimestepPanel

T = np.arange(1.0, 101.0)
ERROR, WEIGHT = 1 / T, np.linspace(2, 1, 100)
DENSITY = np.full(100, 0.01)


@pytest.fixture
def panel(qtbot):
    panel = TimestepPanel()
    qtbot.addWidget(panel)
    panel.resize(640, 360)
    share = ERROR * WEIGHT / (ERROR * WEIGHT).sum()
    plot = panel.plot
    plot.set_data(T, ERROR, np.full(100, 50), 0.9 * ERROR, 1.1 * ERROR)
    plot.set_overlays({
        "λ_t": Overlay(WEIGHT, "weight"), "density of t": Overlay(DENSITY, "xt", height=0.5),
        "share of the loss": Overlay(share, "sky", bars=True),
    })  # fmt: skip
    plot.set_axis("t", np.linspace(8, -8, 100))
    panel.show()
    plot.paint_now()
    return panel


def curve(panel, key):
    return panel.plot._items[key].getData()


def test_that_all_four_curves_are_drawn_and_read(panel):
    assert {"error", "spread", "line λ_t", "line density of t", "bars share of the loss"} <= set(
        panel.plot._items
    )
    text = panel.plot._reading_at(10.2).text
    assert "t = 10" in text
    assert "error 0.1 ± 0.01" in text
    for name in ("log SNR", "λ_t", "density of t", "share of the loss", "count 50"):
        assert name in text


def test_that_no_curve_is_shifted_by_one(panel):
    """t = 1 stands at 1 and t = T at T: the arrays of 1 … T are not those of 0 … T − 1."""
    x, y = curve(panel, "error")
    assert (x[0], x[-1]) == (1, 100)
    np.testing.assert_allclose(y, ERROR)
    x, y = curve(panel, "line λ_t")
    np.testing.assert_allclose(y / y[0], WEIGHT / WEIGHT[0])
    panel.set_axis("step")
    panel.plot.paint_now()
    x, y = curve(panel, "error")
    assert (x[0], x[-1]) == (100, 1)  # the last reverse step arrives at the image
    np.testing.assert_allclose(y, ERROR)


def test_that_the_density_stands_at_half_of_the_height(panel):
    _, share = curve(panel, "line density of t")
    _, weight = curve(panel, "line λ_t")
    assert share.max() == pytest.approx(weight.max() / 2)


def test_that_the_scale_of_what_is_not_an_error_is_said(panel):
    """The axis counts errors: λ_t, the density and the share say where they reach the height they have."""
    names = [entry.text for entry in panel.plot._entries()]
    assert "λ_t (largest 2)" in names
    assert "density of t (largest 0.01)" in names
    assert any(name.startswith("share of the loss (largest 0.") for name in names)


@pytest.mark.parametrize("axis", ["t", "step", "log_snr"])
def test_that_heights_can_be_logarithmic_on_every_axis(panel, axis):
    panel.set_axis(axis)
    panel.plot.set_log(True)
    panel.plot.paint_now()
    _, y = curve(panel, "error")
    np.testing.assert_allclose(y, np.log10(ERROR), atol=1e-9)
    assert panel.plot._reading_at(float(curve(panel, "error")[0][4])).text.count("error 0.2") == 1


def test_that_another_run_is_laid_over_and_taken_away(panel):
    half = np.arange(1.0, 51.0)
    panel.plot.set_compared(Compared("other", half, 50, 2 / half, None, np.linspace(8, -8, 50)))
    panel.plot.paint_now()
    x, _ = curve(panel, "compared error")
    assert (x[0], x[-1]) == (2, 100)  # its times are stretched to this T
    assert "other: error" in panel.plot._reading_at(50).text
    panel.plot.set_compared(None)
    panel.plot.paint_now()
    assert "compared error" not in panel.plot._items


def test_that_the_menu_offers_other_runs(panel, qtbot):
    asked = []
    panel.compare_requested.connect(asked.append)
    panel.set_choices([("/runs/a", "a"), ("/runs/b", "b")])
    for action in panel.compare.menu().actions():
        action.trigger()
    assert asked == ["freeze", "/runs/a", "/runs/b", ""]


def test_that_the_history_follows_until_a_person_looks_back(panel):
    moved = []
    panel.moment_changed.connect(moved.append)
    panel.set_history([10, 20, 30], [(15, "weight: a → b")])
    assert panel.follows
    assert "weight: a → b" in panel.history.toolTip()
    panel.history.setValue(0)
    assert moved == [0]
    assert panel.moment.text() == "step 10"
    assert "weight" not in panel.history.toolTip()
    panel.set_history([10, 20, 30, 40], [])
    assert not panel.follows
    assert panel.history.value() == 0


@pytest.mark.parametrize("width", range(300, 900, 60))
def test_that_what_steers_the_plot_stands_together(panel, width):
    panel.resize(width, 400)
    QApplication.processEvents()
    tops = {part.mapTo(panel, part.rect().topLeft()).y() for part in (panel.heights, panel.axis)}
    assert len(tops) == 1

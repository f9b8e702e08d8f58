from itertools import pairwise

import numpy as np
import pyqtgraph as pg
import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QScrollArea, QVBoxLayout, QWidget

from diffusion_studio.widgets.look.theme import theme
from diffusion_studio.widgets.plots import ChainPlot, Curve, Line, XYPlot, base

X = np.linspace(0, 100, 11)


@pytest.fixture(params=["dark", "light"])
def mode(request):
    theme().set_mode(request.param)
    yield request.param
    theme().set_mode("system")


@pytest.fixture
def drawn(monkeypatch):
    """Every drawing of a curve."""
    heard, paint = [], pg.PlotCurveItem.paint
    monkeypatch.setattr(pg.PlotCurveItem, "paint", lambda self, *a: (heard.append(self), paint(self, *a)))
    return heard


def lines(height=1.0):
    return {"one": Line(X, height * X, "x0"), "dots": Line(X, 50 - X, "sky", dots=True)}


def chain():
    plot = ChainPlot("Norms")
    plot.set_curves(X, {"eps": Curve(X, "eps")})
    plot.set_cursor(3)
    return plot


@pytest.fixture
def shown(qtbot):
    """Shows plots in a column that scrolls."""
    areas = []

    def show(*plots):
        column = QWidget()
        layout = QVBoxLayout(column)
        for plot in plots:
            plot.setFixedHeight(200)
            layout.addWidget(plot)
        area = QScrollArea()
        areas.append(area)
        qtbot.addWidget(area)
        area.setWidgetResizable(True)
        area.setWidget(column)
        area.resize(500, 300)
        area.show()
        qtbot.waitExposed(area)
        for plot in plots:
            plot.paint_now()
        settle()
        return area

    return show


class Painted(QObject):
    times = 0

    def eventFilter(self, watched, event):
        self.times += event.type() == QEvent.Type.Paint
        return False


def settle():
    for _ in range(10):
        QApplication.processEvents()


def curve(name="Error"):
    plot = XYPlot(name)
    plot.set_lines(lines())
    plot.set_mark(40)
    return plot


def anew(plot):
    """The plot as it is when each of its items is drawn."""
    plot.canvas.keeps = False
    image = plot.canvas.grab().toImage()
    plot.canvas.keeps = True
    return image


@pytest.mark.parametrize("make", [curve, chain])
def test_that_what_is_kept_looks_as_if_it_were_drawn(shown, mode, make):
    plot = make()
    shown(plot)
    assert plot.canvas.grab().toImage() == anew(plot)


def test_that_to_scroll_and_to_come_back_draws_no_curve(shown, drawn):
    area = shown(curve("a"), curve("b"), curve("c"))
    area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
    settle()
    drawn.clear()
    for share in (0, 1, 2, 3):
        area.verticalScrollBar().setValue(area.verticalScrollBar().maximum() * share // 3)
        settle()
    area.hide()
    area.show()
    settle()
    area.repaint()
    assert not drawn


def test_that_what_changes_is_drawn_again(shown, drawn):
    plot = curve()
    shown(plot)
    before = plot.canvas.grab().toImage()
    drawn.clear()
    plot.set_lines(lines(0.3))
    plot.paint_now()
    assert plot.canvas.grab().toImage() != before and drawn
    assert plot.canvas.grab().toImage() == anew(plot)


def test_that_a_cursor_moves_without_a_curve(shown, drawn):
    plot = chain()
    shown(plot)
    before = plot.canvas.grab().toImage()
    drawn.clear()
    plot.set_cursor(7.5)
    settle()
    moved = plot.canvas.grab().toImage()
    assert not drawn and moved != before and moved == anew(plot)
    plot.set_cursor(3)
    assert plot.canvas.grab().toImage() == before


def test_that_what_lies_under_the_pointer_is_seen_at_once_and_goes_again(qtbot, shown):
    plot = curve()
    shown(plot)
    viewport = plot.canvas.viewport()
    before = plot.canvas.grab().toImage()
    QTest.mouseMove(viewport, viewport.rect().center() + QPoint(5, 0))
    qtbot.waitUntil(lambda: plot.readout.text != "")
    settle()
    assert plot.canvas.grab().toImage() == anew(plot) != before
    plot.readout.show(None)
    settle()
    assert plot.canvas.grab().toImage() == before


def test_that_an_item_that_nobody_tells_of_is_seen(shown):
    plot = curve()
    shown(plot)
    before = plot.canvas.grab().toImage()
    item = pg.InfiniteLine(20, angle=90)
    plot.canvas.addItem(item)
    settle()
    assert plot.canvas.grab().toImage() == anew(plot) != before
    plot.canvas.removeItem(item)
    settle()
    assert plot.canvas.grab().toImage() == before


def test_that_another_size_or_theme_is_drawn_anew(shown, mode):
    plot = curve()
    area = shown(plot)
    area.resize(700, 300)
    settle()
    assert plot.canvas.grab().toImage() == anew(plot)
    theme().set_mode("light" if mode == "dark" else "dark")
    plot.paint_now()
    assert plot.canvas.grab().toImage() == anew(plot)


def test_that_plots_that_change_in_one_turn_are_painted_in_one(shown):
    plots = [curve("a"), curve("b")]
    area = shown(*plots)
    area.resize(500, 600)
    settle()
    painted = Painted()
    area.widget().installEventFilter(painted)
    for plot in plots:
        plot.set_lines(lines(0.5))
        plot.paint_now()
    settle()
    assert painted.times == 1


def test_that_plots_that_are_due_at_once_are_drawn_one_a_turn(qtbot, shown, monkeypatch):
    plots = [curve(name) for name in "abcd"]
    shown(*plots)
    order, draw, now = [], XYPlot._draw, [1.0]
    monkeypatch.setattr(XYPlot, "_draw", lambda plot: (order.append(plot), draw(plot)))
    monkeypatch.setattr(base, "perf_counter", lambda: now[0])

    def pass_on():
        order.append(None)
        now[0] += 1.0

    pulse = QTimer(interval=0)
    pulse.timeout.connect(pass_on)
    pulse.start()
    for plot in plots:
        plot.set_lines(lines(0.5))
        plot._timer.start(0)
    qtbot.waitUntil(lambda: len(set(order)) == 5)
    pulse.stop()
    assert all(None in (one, other) for one, other in pairwise(order))


def test_that_dots_are_as_fine_as_the_picture_they_are_in(qtbot, mode):
    """Those of another screen are drawn again."""
    plot = XYPlot("Dots")
    qtbot.addWidget(plot)
    plot.set_lines(lines())
    plot.show()
    plot.grab()
    (dots,) = [item for item in plot.canvas.items() if isinstance(item, pg.ScatterPlotItem)]
    dots.fragmentAtlas.setDevicePixelRatio(3.0)
    plot.canvas.renew()
    plot.grab()
    assert dots.fragmentAtlas.devicePixelRatio() == plot.devicePixelRatioF()

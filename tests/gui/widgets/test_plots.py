import xml.etree.ElementTree as ET
from itertools import combinations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QContextMenuEvent, QFontMetricsF, QGuiApplication, QImage, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu

from diffusion_studio.widgets.look.theme import theme
from diffusion_studio.widgets.plots import (
    ChainPlot,
    Curve,
    Line,
    LossPlot,
    Mark,
    Overlay,
    RunCurve,
    TimestepPlot,
    XYPlot,
    debiased_average,
)
from diffusion_studio.widgets.plots.axis import QuietAxis, font_within
from diffusion_studio.widgets.plots.bars import BarSeries, OccupancyBars
from diffusion_studio.widgets.plots.legend import LegendEntry, LegendLine, color_of
from diffusion_studio.widgets.plots.loss import branches
from diffusion_studio.widgets.plots.math import band, power_text
from diffusion_studio.widgets.plots.series import Series, SeriesPlot

NAN = float("nan")
STEPS = np.arange(400)
LOSSES = 0.1 + np.exp(-STEPS / 50)
TIMES = np.arange(1, 101)
ERRORS = 1 / TIMES
CHAIN = np.linspace(1000, 0, 11)


class Clock:
    """A QElapsedTimer that stands still but where it is moved."""

    milliseconds = 0

    def start(self):
        self.milliseconds = 0

    def isValid(self):
        return True

    def invalidate(self):
        self.milliseconds = 10**6

    def elapsed(self):
        return self.milliseconds

    def nsecsElapsed(self):
        return 1e6 * self.milliseconds


def loss(steps=STEPS, raw=LOSSES):
    plot = LossPlot()
    plot.set_runs([RunCurve("digits", steps, raw)])
    plot.set_marks([Mark(100, "checkpoint")])
    return plot


def timesteps(t=TIMES, error=ERRORS, count=None):
    plot = TimestepPlot()
    plot.set_data(t, error, np.ones(len(t)) if count is None else count)
    plot.set_overlays({"λ_t": Overlay(np.ones(len(t)), "weight"), "share": Overlay(error, "sky", bars=True)})
    return plot


def chain(x=CHAIN, y=None):
    plot = ChainPlot("Norms")
    plot.set_curves(x, {"eps": Curve(np.linspace(1, 0.5, len(x)) if y is None else y, "eps", True, "‖ε̂‖")})
    plot.set_cursor(3)
    return plot


def curves(x=CHAIN, y=None):
    plot = XYPlot("Reconstruction error")
    plot.set_axes("S", "error", y_log=True)
    y = np.linspace(1, 0.5, len(x)) if y is None else y
    plot.set_lines({"DDIM": Line(x, y, "x0", dots=True), "Heun": Line(x, 2 * y, "sky", Qt.PenStyle.DashLine)})
    return plot


def series(x=STEPS, y=LOSSES):
    plot = SeriesPlot("Energy distance")
    plot.set_series([Series("Langevin", x, y, "eps")], 600, 300)
    return plot


MAKERS = {"loss": loss, "timesteps": timesteps, "chain": chain, "curves": curves}


@pytest.fixture(autouse=True)
def _dark(qapp):
    theme().set_mode("dark")
    yield
    theme().set_mode("system")


def shown(qtbot, plot):
    qtbot.addWidget(plot)
    plot.resize(600, 300)
    plot.show()
    qtbot.waitExposed(plot)
    plot.paint_now()
    QApplication.processEvents()
    return plot


def place(plot, x, y_share=0.5):
    """The point of the canvas at `x`."""
    view = plot.canvas.view
    low, high = view.viewRange()[1]
    scene = view.mapViewToScene(QPointF(x, low + y_share * (high - low)))
    return plot.canvas.mapFromScene(scene)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
class TestEveryPlot:
    def test_that_it_draws_its_data(self, qtbot, make):
        plot = shown(qtbot, make())
        empty = shown(qtbot, type(plot)("Empty") if make is curves else type(plot)())
        assert plot.grab().toImage() != empty.grab().toImage()
        assert plot.accessibleDescription() == plot.describe() != empty.describe()

    @pytest.mark.parametrize("n", [0, 1, 2])
    def test_that_it_takes_hardly_any_points(self, qtbot, make, n):
        plot = shown(qtbot, make(np.arange(n) + 1.0, np.ones(n)))
        assert not plot.grab().isNull() and len(plot.as_table()[1]) == n
        plot._reading_at(1.0)

    def test_that_without_values_it_says_what_will_come(self, qtbot, make):
        plot = shown(qtbot, make(np.arange(0) + 1.0, np.ones(0)))
        plot.set_empty_text("It comes with the first step.")
        plot.paint_now()
        assert plot.canvas.words == "It comes with the first step."
        assert not plot.canvas.left.isVisible()
        full = shown(qtbot, make())
        assert full.canvas.words == ""
        assert full.canvas.left.isVisible()

    @pytest.mark.parametrize("holes", [[0], [5, 6], [9], list(range(10))])
    def test_that_it_takes_missing_values(self, qtbot, make, holes):
        values = np.linspace(1, 2, 10)
        values[holes] = NAN
        plot = shown(qtbot, make(np.arange(10) + 1.0, values))
        assert not plot.grab().isNull() and plot.describe()
        plot._reading_at(float(holes[0]))

    def test_that_it_follows_the_theme(self, qtbot, make):
        plot = shown(qtbot, make())
        dark = plot.grab().toImage()
        theme().set_mode("light")
        plot.paint_now()
        assert plot.grab().toImage() != dark

    def test_that_setters_coalesce_and_hidden_plots_paint_nothing(self, qtbot, make, monkeypatch):
        plot = make()
        qtbot.addWidget(plot)
        draws = []
        draw = plot._draw
        monkeypatch.setattr(plot, "_draw", lambda: (draws.append(1), draw()))
        for _ in range(5):
            plot._changed()
        QApplication.processEvents()
        assert draws == [] and not plot._timer.isActive()
        plot.show()
        qtbot.waitUntil(lambda: len(draws) == 1)
        plot._clock, plot._cost, plot.canvas.cost = Clock(), 0.0, 0.0
        for _ in range(20):
            plot._changed()
        assert plot._timer.isActive() and plot._timer.interval() == round(1000 / plot.max_hz)
        assert len(draws) == 1

    def test_that_beside_a_training_it_rests_150_times_as_long_as_it_took(self, qtbot, make):
        plot = shown(qtbot, make())
        plot.spare_the_training()
        for drawn, painted, rest in ((0.5, 1.0, 250), (2.0, 3.0, 750), (90.0, 90.0, 2000)):
            plot._clock, plot._cost, plot.canvas.cost = Clock(), drawn, painted
            plot._timer.stop()
            plot._changed()
            assert plot._timer.interval() == rest

    def test_that_it_knows_what_painting_takes(self, qtbot, make):
        plot = shown(qtbot, make())
        plot.paint_now()
        plot.canvas.cost = 0.0
        plot.canvas.renew()
        plot.grab()
        assert plot.canvas.cost > 0

    def test_that_it_is_exported(self, qtbot, make, tmp_path):
        plot = shown(qtbot, make())
        heard = []
        plot.exported.connect(heard.append)
        for ending in ("svg", "png", "csv"):
            plot.export(tmp_path / f"plot.{ending}")
        assert len(heard) == 3
        svg = ET.parse(tmp_path / "plot.svg").getroot()
        assert svg.tag.endswith("svg") and not list(svg.iter("{http://www.w3.org/2000/svg}image"))
        assert QImage(str(tmp_path / "plot.png")).width() == 1200
        lines = (tmp_path / "plot.csv").read_text(encoding="utf-8").splitlines()
        headers, rows = plot.as_table()
        assert lines[0] == ",".join(headers) and len(lines) == len(rows) + 1

    def test_that_a_failed_export_is_told(self, qtbot, make, tmp_path):
        plot = shown(qtbot, make())
        heard = []
        plot.export_failed.connect(heard.append)
        for name in ("plot.doc", "nowhere/plot.csv", "nowhere/plot.svg", "nowhere/plot.png"):
            plot.export(tmp_path / name)
        assert len(heard) == 4 and all(sentence.endswith(".") for sentence in heard)

    def test_that_its_table_opens_and_copies(self, qtbot, make):
        plot = shown(qtbot, make())
        dialog = plot.show_table()
        assert dialog.isVisible()
        dialog.copy()
        assert QGuiApplication.clipboard().text().startswith("\t".join(plot.as_table()[0]))
        dialog.close()

    def test_that_the_right_button_opens_its_own_menu(self, qtbot, make):
        plot = shown(qtbot, make())
        spot = plot.canvas.viewport().rect().center()
        event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, spot, plot.mapToGlobal(spot))
        QApplication.sendEvent(plot.canvas.viewport(), event)
        menu = plot.findChild(QMenu)
        texts = [action.text() for action in menu.actions() if action.text()]
        first = ["Enlarge\tF11", "Reset view", "Show as table", "Copy the picture", "Copy the table"]
        assert texts == [*first, "Export SVG…", "Export PNG…", "Export CSV…"]
        menu.close()

    def test_that_pointing_reads_and_leaving_hides(self, qtbot, make):
        plot = shown(qtbot, make())
        QTest.mouseMove(plot.canvas.viewport(), place(plot, 50.0))
        qtbot.waitUntil(lambda: plot.readout.text != "")
        assert "50" in plot.readout.text or "0" in plot.readout.text
        plot.readout.show(None)
        assert plot.readout.text == ""


def test_that_a_plot_brings_no_menus_and_forms_that_nobody_sees(qapp):
    before = set(QApplication.topLevelWidgets())
    plot = chain()
    made = set(QApplication.topLevelWidgets()) - before - {plot}
    assert not [widget for widget in made if widget.children()]  # Qt has an empty one for its layout


@pytest.mark.parametrize("make", [loss, chain, curves, series])
def test_that_a_value_that_stands_alone_is_seen(qtbot, make):
    plot = shown(qtbot, make(np.array([5.0]), np.array([0.5])))
    image = plot.canvas.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.asarray(image.constBits(), np.int16).reshape(image.height(), -1, 4)[:, :, :3]
    assert np.ptp(pixels, axis=2).max() > 100  # a colour; words and axes have none


def test_that_steps_are_counted_in_whole_numbers():
    axis = QuietAxis("bottom")
    axis.whole = True
    axis.setRange(1, 2)
    assert axis.values(1000) == [1, 2]
    axis.setRange(0, 400)
    assert axis.values(500) == [0, 100, 200, 300, 400]


def test_that_axes_have_their_room_though_colours_changed_while_there_was_nothing_to_see(qtbot):
    plot = SeriesPlot("Losses")
    qtbot.addWidget(plot)
    plot.resize(300, 200)
    plot.show()
    plot.paint_now()
    assert plot.canvas.words
    theme().set_mode("dark")
    theme().set_mode("light")
    plot.set_series([Series("a", [1.0, 2.0, 3.0], [3.0, 1.0, 2.0], "eps")], 3.0, 1.0)
    plot.paint_now()
    assert plot.canvas.left.width() > 20 and plot.canvas.bottom.height() > 10


def test_that_the_loss_table_holds_raw_and_mean():
    headers, rows = loss().as_table()
    assert headers == ["run", "step", "loss", "debiased mean"]
    np.testing.assert_array_equal([row[2] for row in rows], LOSSES)
    np.testing.assert_allclose([row[3] for row in rows], debiased_average(LOSSES, 0.98, 12))


def test_that_the_mean_of_a_short_run_stays_near_a_loss_that_falls_fast():
    steps = np.arange(200)
    raw = np.exp(-steps / 20) + 0.05
    (branch,) = branches(RunCurve("", steps, raw), 0.98)
    assert (branch.mean[100:] < 1.5 * raw[100:] + 0.01).all()
    assert (debiased_average(raw, 0.98)[100:] > 2.5 * raw[100:]).any()  # a long memory draws it far above


@pytest.mark.parametrize("count", [60, 1200, 20_000])
def test_that_the_mean_runs_within_the_band_that_it_averages(count):
    steps = np.arange(count)
    noise = np.random.default_rng(0).uniform(0.6, 1.4, count)
    (branch,) = branches(RunCurve("", steps, (0.02 + 1 / (1 + steps / 10)) * noise), 0.98)
    edges, low, high = band(branch.steps, branch.raw, count // 12)
    place = np.searchsorted(edges, branch.steps, side="right").clip(1, len(low)) - 1
    outside = (branch.mean > high[place]) | (branch.mean < low[place])
    assert not outside[:400].any()  # where the loss falls fast
    assert outside.mean() < 0.005  # by chance all dozen of a stretch lie on one side


def test_that_the_loss_is_told_in_a_sentence():
    assert loss().describe().startswith("Loss falls from 1.1 at step 0 to 0.1")
    assert LossPlot().describe() == "No losses yet."


def test_that_the_axis_is_logarithmic_only_for_positive_losses():
    assert loss().log and not loss(raw=LOSSES - 0.5).log


def test_that_a_long_run_is_thinned_to_the_pixels(qtbot):
    n = 100_000
    plot = shown(qtbot, loss(np.arange(n), np.random.default_rng(0).lognormal(size=n)))
    for item in plot._items.values():
        if hasattr(item, "xData"):
            assert len(item.xData) <= 2 * plot.width()


def test_that_a_resumed_run_branches_and_its_mean_goes_on():
    steps = np.concatenate([np.arange(100), np.arange(60, 150)])
    raw = np.random.default_rng(0).lognormal(size=len(steps))
    first, second = branches(RunCurve("r", steps, raw), 0.9)
    assert first.abandoned_from == 60 and second.steps[0] == 60
    whole = debiased_average(np.concatenate([raw[:60], raw[100:]]), 0.9, 12)
    np.testing.assert_allclose(second.mean, whole[60:])


def test_that_segments_may_be_given():
    found = branches(RunCurve("r", STEPS, LOSSES, segments=(100, 200)), 0.9)
    assert [len(branch.steps) for branch in found] == [100, 100, 200]


def test_that_more_runs_than_colours_are_refused(qapp):
    with pytest.raises(ValueError, match="4 runs"):
        LossPlot().set_runs([RunCurve(str(i), STEPS, LOSSES) for i in range(5)])


def test_that_zooming_stays_until_the_view_is_reset(qtbot):
    plot = shown(qtbot, loss())
    plot.canvas.view.setXRange(100, 200, padding=0)
    plot._on_zoom()
    plot.set_runs([RunCurve("digits", np.arange(800), np.ones(800))])
    plot.paint_now()
    assert plot.canvas.view.viewRange()[0] == pytest.approx([100, 200])
    plot.reset_view()
    plot.paint_now()
    assert plot.canvas.view.viewRange()[0] == pytest.approx([0, 799])


def test_that_times_without_a_count_are_gaps():
    count = np.ones(100)
    count[40:50] = 0
    headers, rows = timesteps(count=count).as_table()
    assert headers[:3] == ["t", "error", "count"]
    assert np.flatnonzero(np.isnan([row[1] for row in rows])).tolist() == list(range(40, 50))


def test_that_the_pointer_reads_time_error_and_count(qtbot):
    plot = shown(qtbot, timesteps())
    assert plot._reading_at(50.2).text.splitlines()[:3] == ["t = 50", "error 0.02", "count 1"]


def test_that_the_log_snr_axis_keeps_the_image_on_the_left(qtbot):
    plot = timesteps()
    log_snr = np.linspace(9, -9, 100)
    log_snr[0] = np.inf
    plot.set_axis("log_snr", log_snr)
    shown(qtbot, plot)
    assert place(plot, 8.0).x() < place(plot, -8.0).x()
    assert plot.as_table()[0][3] == "log SNR" and plot._reading_at(-9).text.startswith("t = 100")
    plot.set_axis("t")
    plot.paint_now()
    assert place(plot, 2.0).x() < place(plot, 99.0).x()


def test_that_the_chain_runs_from_noise_to_image(qtbot):
    plot = shown(qtbot, chain())
    assert place(plot, 900).x() < place(plot, 100).x()
    headers, rows = plot.as_table()
    assert headers == ["step", "t", "eps"] and rows[0] == (0, 1000.0, 1.0) and rows[-1][:2] == (10, 0.0)


def test_that_a_click_and_a_drag_seek_each_state_once(qtbot):
    plot = shown(qtbot, chain())
    heard = []
    plot.seek_requested.connect(heard.append)
    viewport = plot.canvas.viewport()
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=place(plot, 700))
    assert heard == [3]
    QTest.mouseMove(viewport, place(plot, 690) + QPoint(1, 0))
    QTest.mouseMove(viewport, place(plot, 400))
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=place(plot, 400))
    assert heard == [3, 6]


def test_that_the_cursor_moves_without_a_repaint(qtbot, monkeypatch):
    plot = shown(qtbot, chain())
    monkeypatch.setattr(plot, "_draw", lambda: pytest.fail("drawn"))
    plot.set_cursor(4.5)
    assert plot._here.x == pytest.approx(550)
    plot.set_cursor(None)
    assert plot._here.x is None


def test_that_an_infinite_log_snr_stays_on_the_picture(qtbot):
    plot = shown(qtbot, chain(np.array([-9.0, 0.0, 9.0, np.inf])))
    assert place(plot, -9).x() < place(plot, 9).x()
    assert np.isfinite(plot.canvas.view.viewRange()).all()


def test_that_new_data_are_painted_once(qtbot, monkeypatch):
    plot = LossPlot(max_hz=1000)
    qtbot.addWidget(plot)
    plot.resize(480, 240)
    plot.show()
    painted = []
    paint = type(plot.canvas).paintEvent
    monkeypatch.setattr(type(plot.canvas), "paintEvent", lambda *a: (painted.append(1), paint(*a))[1])
    for n in (50, 60, 70):
        plot.set_runs([RunCurve("a", range(n), [1.0 / (1 + k) for k in range(n)])])
        plot.paint_now()
        painted.clear()
        qtbot.waitUntil(lambda: len(painted) > 0)
        qtbot.let_timers_pass()
        assert len(painted) == 1


def test_that_a_plot_that_is_slow_to_draw_rests_longer(qtbot, monkeypatch):
    plot = LossPlot(max_hz=100)
    qtbot.addWidget(plot)
    plot.show()
    plot._clock = Clock()
    monkeypatch.setattr(plot, "_draw", lambda: setattr(plot._clock, "milliseconds", 30))
    plot.set_marks(())
    plot.paint_now()
    plot.set_marks(())
    assert plot._timer.interval() > 300


STEPS_S = np.array([5.0, 10, 20, 50, 100])


def test_that_a_log_axis_leaves_out_what_is_not_positive(qtbot):
    plot = curves(np.array([0.0, 1, 10, 100]), np.array([1.0, -1, 0.1, 0.01]))
    plot.set_axes("S", "error", x_log=True, y_log=True)
    shown(qtbot, plot)
    (x0, x1), (y0, y1) = plot.canvas.view.viewRange()
    assert (x0, x1) == pytest.approx((1, 2)) and y0 < -2 and y1 > np.log10(0.2)
    assert plot._reading_at(0.9).text == "S = 10\nDDIM  0.1\nHeun  0.2"
    plot.set_axes("S", "error")
    plot.paint_now()
    assert plot.canvas.view.viewRange()[0] == pytest.approx([0, 100])


def test_that_lines_over_different_x_share_one_table():
    plot = XYPlot("Error")
    plot.set_axes("S", "error")
    plot.set_lines({"a": Line([1, 2], [5.0, 6.0], "x0"), "b": Line([2, 3], [7.0, 8.0], "eps")})
    headers, rows = plot.as_table()
    assert headers == ["S", "a", "b"]
    np.testing.assert_equal(rows, [(1, 5, NAN), (2, 6, 7), (3, NAN, 8)])
    assert plot._reading_at(1.2).text == "S = 1\na  5" and "b" in plot._reading_at(2.1).text
    assert "a goes from 5 at S = 1 to 6 at 2, lowest 5 at 1." in plot.describe()


def test_that_a_level_line_is_in_the_middle(qtbot):
    plot = shown(qtbot, curves(STEPS_S, np.full(5, 0.25)))
    low, high = plot.canvas.view.viewRange()[1]
    assert low < np.log10(0.25) < high


def test_that_lines_whose_lengths_differ_are_refused(qapp):
    with pytest.raises(ValueError, match="DDIM"):
        XYPlot("Error").set_lines({"DDIM": Line([1, 2], [1], "x0")})


# --- curves that lie on each other ------------------------------------------------------------------------


def test_that_a_curve_that_lies_on_another_says_so(qtbot):
    plot = XYPlot("Two schedules")
    qtbot.addWidget(plot)
    x = np.linspace(0, 1, 30)
    lines = {"linear": x, "scaled": x + 1e-6, "cosine": x**2}
    plot.set_lines({name: Line(x, y, "eps") for name, y in lines.items()})
    assert [entry.text for entry in plot.names()] == ["linear", "scaled = linear", "cosine"]


def test_that_a_legend_without_room_keeps_names_whole_and_breaks_sentences(qtbot):
    legend = LegendLine()
    qtbot.addWidget(legend)
    legend.set_entries(
        [LegendEntry("band = raw, line = mean", "muted"), LegendEntry("a name", "eps", sample=True)]
    )
    texts = [entry.text for _, entry in legend._places(100.0)]
    assert texts == ["band", "=", "raw,", "line", "=", "mean", "a name"]
    assert legend.heightForWidth(100) >= 2 * legend._line_height()
    assert legend.minimumSizeHint().width() <= 240


def test_that_a_plot_has_room_for_its_curves_under_every_row_of_its_legend(qtbot):
    plot = XYPlot("Many")
    qtbot.addWidget(plot)
    x = np.linspace(0, 1, 30)
    plot.set_lines({f"schedule {k}": Line(x, x + k, "eps") for k in range(9)})
    plot.resize(240, 400)
    plot.show()
    plot.paint_now()
    QApplication.processEvents()
    wide = plot.minimumSizeHint().height()
    plot.resize(180, 400)
    QApplication.processEvents()
    assert plot.minimumSizeHint().height() > wide
    plot.resize(plot.minimumSizeHint())
    QApplication.processEvents()
    assert plot.canvas.height() >= 90


def test_that_a_plot_that_grows_wide_again_asks_for_no_row_that_its_legend_has_left(qtbot):
    plot = XYPlot("Two")
    qtbot.addWidget(plot)
    x = np.linspace(0, 1, 30)
    plot.set_lines({f"a name of some length {k}": Line(x, x + k, "eps") for k in range(2)})
    plot.resize(200, 400)
    plot.show()
    plot.paint_now()
    QApplication.processEvents()
    narrow = plot.minimumSizeHint().height()
    plot.resize(900, 400)
    QApplication.processEvents()
    assert plot.minimumSizeHint().height() < narrow


def test_that_names_of_a_legend_begin_on_a_pixel(qtbot):
    legend = LegendLine()
    qtbot.addWidget(legend)
    legend.set_entries([LegendEntry("Size per pixel"), LegendEntry("‖ε̂‖", "eps", sample=True)])
    assert all(room.left() == round(room.left()) for room, _ in legend._places(400.0))


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.0, "2"), (0.01, "0.01"), (41_200_000.0, "4.1 · 10⁷"), (3e-5, "3 · 10⁻⁵"), (-2e6, "−2 · 10⁶")],
)
def test_that_numbers_far_from_one_are_written_as_by_hand(value, text):
    assert power_text(value) == text


def test_that_what_accompanies_a_curve_does_not_cover_it(qtbot):
    plot = curves()
    lines = {"term": Line(CHAIN, CHAIN + 1.0, "weight"), "+ 2 errors": Line(CHAIN, CHAIN + 1.1, "muted")}
    plot.set_lines(lines)
    shown(qtbot, plot)
    assert plot._items["term"].zValue() > plot._items["+ 2 errors"].zValue()


@pytest.mark.parametrize("scale", [1e-7, 1e-3, 1.0, 12_345.678, 98_765_432.1])
@pytest.mark.parametrize("low", [0.0, 1.0, -3.0])
def test_that_no_number_of_an_axis_is_wider_than_its_room(qtbot, scale, low):
    plot = XYPlot("Numbers")
    plot.set_lines({"a": Line([0.0, 1.0, 2.0], [scale * low, scale * (low + 0.4), scale * (low + 1)], "eps")})
    plot = shown(qtbot, plot)
    for axis in (plot.canvas.left, plot.canvas.bottom):
        image = QImage(10, 10, QImage.Format.Format_RGB32)
        painter = QPainter(image)
        _, _, texts = axis.generateDrawSpecs(painter)
        font = painter.font()
        painter.end()
        assert texts
        for rect, _, text in texts:
            metrics = QFontMetricsF(font_within(rect.width(), text, font))
            assert metrics.horizontalAdvance(text) <= rect.width() + 1, text
            assert axis.boundingRect().contains(rect.center())
            assert rect.left() >= axis.boundingRect().left() - 1, text


@pytest.mark.parametrize("size", [(600, 300), (260, 150)])
def test_that_words_of_marks_lie_above_the_curve_whole_within_the_plot_and_none_over_another(qtbot, size):
    plot = loss()
    changes = ("weight: surrogate (1) → min-SNR γ 5", "draw t: uniform → by hand", "resumed")
    plot.set_marks([Mark(step, text) for step, text in zip((20, 60, 390), changes, strict=True)])
    shown(qtbot, plot)
    plot.resize(*size)
    qtbot.waitUntil(lambda: not plot._dirty and plot.width() == size[0])
    plot.paint_now()
    view = plot.canvas.view
    room = view.sceneBoundingRect()
    texts = [plot._items[f"mark text {k}"] for k in range(3)]
    around = [text.mapRectToScene(text.boundingRect()) for text in texts if text.isVisible()]
    boxes = [box.adjusted(4, 4, -4, -4) for box in around]  # of the words; a document has margins
    assert texts[-1].isVisible()
    assert plot._reading_at(20.0).text.endswith(changes[0])  # what has no room is read under the pointer
    assert changes[0] not in plot._reading_at(200.0).text
    assert len(boxes) >= 2 or size[0] < 300
    for box in boxes:
        assert room.left() - 1 <= box.left() and box.right() <= room.right() + 1
    assert not any(a.intersects(b) for a, b in combinations(boxes, 2))
    highest = view.mapViewToScene(QPointF(0, np.nanmax(plot._items["band 0.0"].getData()[1]))).y()
    assert all(box.bottom() <= highest for box in boxes)


def test_that_the_share_of_the_loss_over_log_snr_is_one_outline_and_no_bars_apart(qtbot):
    plot = timesteps()
    plot.set_axis("log_snr", np.linspace(9, -9, 100) ** 3)
    shown(qtbot, plot)
    x, y = plot._items["bars share"].getData()
    steps = np.diff(x.reshape(-1, 4)[:, [0, 3]], axis=1)
    assert np.abs(steps).min() > 0  # each has its width
    np.testing.assert_allclose(
        x.reshape(-1, 4)[1:, 0], x.reshape(-1, 4)[:-1, 3]
    )  # and ends where the next begins
    assert np.isfinite(y).all()


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
def test_that_curves_are_as_thick_on_a_fine_screen(qtbot, monkeypatch, ratio):
    plot = SeriesPlot("distance")
    qtbot.addWidget(plot)
    monkeypatch.setattr(plot, "devicePixelRatioF", lambda: ratio)
    plot.set_series([Series("walk", [0, 1, 2], [3.0, 2.0, 1.0], "eps")], 2, 1)
    plot.paint_now()
    assert plot._items["0"].opts["pen"].widthF() == 1.5 * ratio


@pytest.mark.parametrize("width", [180, 220, 300])
def test_that_bars_are_seen_beside_long_names(qtbot, width):
    bars = OccupancyBars()
    qtbot.addWidget(bars)
    bars.resize(width, 120)
    truth = BarSeries("true", (0.2, 0.8), "xt")
    long = BarSeries("Langevin through all levels of the noise", (0.25, 0.75), "x0")
    bars.set_bars(["mode 1", "mode 2"], [truth, long])
    image = bars.grab().toImage()
    ink = QColor(color_of(theme().palette, "x0")).rgb()
    widest = max(sum(image.pixel(x, y) == ink for x in range(width)) for y in range(image.height()))
    assert widest >= 44

"""The laboratory on the Sample page: keys, lanes, strip, A/B, σ and τ by hand, the equation, images."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QInputDialog, QLineEdit

from diffusion_studio.core.process.spacing import ExplicitSpacing
from diffusion_studio.core.samplers import DDIM, SigmaCurve
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.pages.sample.pictures import ONE, STRIP, TWO
from diffusion_studio.pages.sample.side import BY_HAND, CURVES, NEAREST, TABS
from diffusion_studio.pages.sample.step_equation import ACTS
from diffusion_studio.widgets.images.mosaic import packed
from diffusion_studio.widgets.plots import BasePlot
from support.tiny import begin, finish, tiny_config, write_pictures
from support.window import drop, settle

Key, Left = Qt.Key, Qt.MouseButton.LeftButton


@pytest.fixture
def app(open_app):
    app = open_app()
    app.studio.sampling.tree.edit("steps", 20)
    app.studio.sampling.tree.settle()
    return app


@pytest.fixture
def page(qtbot, app):
    app.studio.show_page("sample")
    settle(qtbot, app)
    return app.studio.sample_page


@pytest.fixture
def model(page):
    return page.model


@pytest.fixture
def press(qtbot, app, page):
    """Presses keys wherever the focus is, and waits for what they set off."""

    def press(*keys: Key) -> None:
        for key in keys:
            qtbot.keyClick(app.shell.focusWidget() or page, key)
        settle(qtbot, app)

    return press


def same_pictures(grid, images: np.ndarray) -> None:
    np.testing.assert_array_equal(grid._words, packed(images))


# --- keys -------------------------------------------------------------------------------------------------


def test_that_s_n_and_d_choose_the_views_of_a_step(page, model, press):
    model.tree.edit("sampler.eta", 1.0)
    press()
    model.player.seek(9)
    for key, view in (
        (Key.Key_S, "score"),
        (Key.Key_N, "noise"),
        (Key.Key_D, "change"),
        (Key.Key_F, "forward"),
        (Key.Key_X, "x0_hat"),
    ):
        press(key)
        assert model.state.pictures.view == page.head.views.value == view
        same_pictures(page.pictures.grid, model.chains.record.picture(view, 9))


def test_that_b_branches_at_the_shown_step(page, model, press):
    model.player.seek(8)
    press(Key.Key_B)
    assert [track.start for track in model.state.chains.tracks] == [0, 8]
    assert model.tree.value.active == page.transport.timeline.active == 1
    assert model.state.player.position == page.transport.position == 8
    assert page.transport.timeline.tracks[1].label == "branch 1"
    press(Key.Key_B)
    assert model.tree.value.parent_of(2) == 1


def test_that_c_compares_and_ends_the_comparison(page, model, press):
    press(Key.Key_C)
    assert (model.tree.value.active, model.tree.value.compared) == (1, 0)
    assert page.pictures.currentIndex() == TWO
    press(Key.Key_C)
    assert model.tree.value.compared == -1
    assert page.pictures.currentIndex() == ONE
    assert len(model.tree.value.branches) == 1


def test_that_keys_with_ctrl_are_not_the_views(qtbot, app, page, model):
    for key in (Key.Key_S, Key.Key_D, Key.Key_B, Key.Key_C):
        qtbot.keyClick(page, key, Qt.KeyboardModifier.ControlModifier)
    assert model.state.pictures.view == "x0_hat"
    assert not model.tree.value.branches


def test_that_keys_in_a_field_are_letters(qtbot, app, page, model):
    edit = page.panel.form.field("seed").control.findChild(QLineEdit)
    edit.setFocus()
    for key in (Key.Key_B, Key.Key_C, Key.Key_D):
        qtbot.keyClick(edit, key)
    assert not model.tree.value.branches
    assert model.state.pictures.view == "x0_hat"
    qtbot.keyClick(edit, Key.Key_Escape)


def test_that_the_buttons_do_what_the_keys_do(qtbot, app, page, model):
    model.player.seek(5)
    qtbot.mouseClick(page.tools.branch_button, Left)
    settle(qtbot, app)
    assert model.state.chains.tracks[1].start == 5
    page.tools._fill_compare_menu()
    texts = {action.text(): action for action in page.tools.compare_menu.actions()}
    texts["Compare with: main chain"].trigger()
    settle(qtbot, app)
    assert model.tree.value.compared == 0
    page.tools._fill_compare_menu()
    texts = {action.text(): action for action in page.tools.compare_menu.actions()}
    assert texts["Compare with: main chain"].isChecked()
    texts["End the comparison"].trigger()
    settle(qtbot, app)
    assert model.tree.value.compared == -1


# --- the strip --------------------------------------------------------------------------------------------


def test_that_the_strip_shows_the_chain_and_a_click_on_a_column_seeks(qtbot, page, model):
    model.pictures.set_layout("strip")
    pictures = page.pictures
    assert pictures.currentIndex() == STRIP
    columns = pictures._columns
    assert (columns[0], columns[-1]) == (0, 20)
    assert pictures.strip.count == 8 * len(columns)
    expected = [model.chains.record.picture("x0_hat", k)[:8] for k in columns]
    same_pictures(pictures.strip, np.stack(expected, 1).reshape(-1, 8, 8, 1))
    for number in (3, len(columns) + 6, 0):
        place = pictures.strip.tile_rect(number).center().toPoint()
        qtbot.mouseClick(pictures.strip, Left, pos=place)
        assert model.state.player.position == columns[number % len(columns)]
        assert page.transport.position == model.state.player.position


def test_that_in_little_room_the_strip_has_fewer_pictures_rather_than_smaller_ones(page, model):
    model.pictures.set_layout("strip")
    pictures, strip = page.pictures, page.pictures.strip
    many = pictures._columns
    strip.resize(200, 140)
    assert 1 < len(pictures._columns) < len(many)
    assert (pictures._columns[0], pictures._columns[-1]) == (many[0], many[-1])
    assert strip.tile_rect(0).width() >= 16
    assert strip.tile_rect(strip.count - 1).bottom() <= 140
    strip.resize(900, 600)
    assert pictures._columns == many and strip.count == 8 * len(many)


def test_that_the_strip_follows_the_view_and_the_chain(qtbot, app, page, model):
    model.pictures.set_layout("strip")
    model.pictures.set_view("x_t")
    columns = page.pictures._columns
    expected = [model.chains.record.picture("x_t", k)[:8] for k in columns]
    same_pictures(page.pictures.strip, np.stack(expected, 1).reshape(-1, 8, 8, 1))
    model.tree.edit("steps", 7)
    model.tree.settle()
    settle(qtbot, app)
    assert page.pictures._columns == tuple(range(8))
    assert page.pictures.strip.count == 64
    page.head.layouts.changed.emit("grid")
    assert page.pictures.currentIndex() == ONE


def test_that_the_segments_choose_the_layout(qtbot, page, model):
    page.head.layouts.setFocus()
    qtbot.keyClick(page.head.layouts, Key.Key_Right)
    assert model.state.pictures.layout == page.head.layouts.value == "strip"
    assert page.pictures.currentIndex() == STRIP


# --- A and B ----------------------------------------------------------------------------------------------


def test_that_a_and_b_are_three_grids(qtbot, app, page, model, press):
    press(Key.Key_C)
    model.tree.edit("sampler.eta", 1.0)
    model.tree.settle()
    settle(qtbot, app)
    model.player.seek(12)
    pictures = page.pictures
    assert pictures.currentIndex() == TWO
    assert all(grid.isVisible() for grid in (pictures.first, pictures.second, pictures.difference))
    same_pictures(pictures.first, model.chains.record.picture("x0_hat", 12))
    same_pictures(pictures.second, model.chains.compared.picture("x0_hat", 12))
    assert pictures.difference.count == 16
    assert [name.text() for name in pictures.names] == ["A · η = 1", "B · main chain", "A − B"]
    apart = model.chains.record.x0_hat(12) - model.chains.compared.x0_hat(12)
    assert pictures.apart.text() == f"root mean square {np.sqrt((apart**2).mean((1, 2, 3))).mean():.3f}"
    assert page.side.apart_plot.isVisible()
    model.tree.compare(-1)
    assert pictures.currentIndex() == ONE
    assert not page.side.apart_plot.isVisible()


def test_that_the_plot_of_a_and_b_comes_into_sight_in_a_small_window(qtbot, app, page):
    app.shell.resize(960, 640)
    (scene,) = (a for a in page.tour.cards[0].actions if a.title == "DDIM, other noise z")
    page.tour.go(0)
    page.tour.take(scene)
    plot = page.side.apart_plot
    settle(qtbot, app)
    qtbot.waitUntil(lambda: plot.visibleRegion().boundingRect().height() == plot.height())
    bar = page.side._curves.verticalScrollBar()
    bar.triggerAction(bar.SliderAction.SliderToMinimum)  # by a person, who stays there
    page.side.eps_plot.setMinimumHeight(page.side.eps_plot.height() + 100)
    qtbot.waitUntil(lambda: page.side.eps_plot.height() >= page.side.eps_plot.minimumHeight())
    assert bar.value() == 0


def test_that_a_sample_is_chosen_in_all_three(qtbot, page, model, press):
    press(Key.Key_C)
    second = page.pictures.second
    qtbot.mouseClick(second, Left, pos=second.tile_rect(3).center().toPoint())
    assert model.state.pictures.sample == 3
    assert {grid.selection for grid in (page.pictures.first, second, page.pictures.difference)} == {3}
    qtbot.mouseClick(second, Left, pos=second.tile_rect(3).center().toPoint())
    assert model.state.pictures.sample is None


def test_that_a_sample_is_chosen_without_a_comparison_too(qtbot, app, page, model):
    grid, told = page.pictures.grid, page.equation.accessibleDescription()
    qtbot.mouseClick(grid, Left, pos=grid.tile_rect(3).center().toPoint())
    assert (model.state.pictures.sample, grid.selection) == (3, 3)
    model.player.seek(4)  # what follows is shown as well
    assert page.equation.accessibleDescription() != told
    model.compare_new()
    settle(qtbot, app)
    assert page.pictures.second.selection == 3


def test_that_comparing_keeps_the_strip(page, model, press):
    model.pictures.set_layout("strip")
    press(Key.Key_C)
    assert page.pictures.currentIndex() == STRIP
    model.pictures.set_layout("grid")
    assert page.pictures.currentIndex() == TWO


# --- σ and τ by hand --------------------------------------------------------------------------------------


def spot(editor, t: float, y: float) -> QPoint:
    return editor.canvas.mapFromScene(editor.canvas.view.mapViewToScene(QPointF(t, y)))


def drag(editor, start: tuple[float, float], *stops: tuple[float, float]) -> None:
    viewport = editor.canvas.viewport()
    QTest.mousePress(viewport, Left, pos=spot(editor, *start))
    for stop in stops:
        QTest.mouseMove(viewport, spot(editor, *stop))
    QTest.mouseRelease(viewport, Left, pos=spot(editor, *stops[-1]))


@pytest.fixture
def by_hand(page):
    page.side.show_tab(BY_HAND)
    QApplication.processEvents()
    for editor in (page.side.by_hand.sigma_editor, page.side.by_hand.tau_editor):
        editor.paint_now()
    QApplication.processEvents()
    return page.side.by_hand


@pytest.fixture
def curve(qtbot, app, model, by_hand):
    """A curve of σ to drag."""
    points = ((100.0, 0.0), (500.0, 0.2), (1000.0, 0.3))
    model.tree.edit("sampler", {"kind": "sigma", "points": points})
    model.tree.settle()
    settle(qtbot, app)
    by_hand.sigma_editor.paint_now()
    QApplication.processEvents()
    return points


def test_that_a_drag_of_sigma_edits_the_curve_in_one_step(qtbot, app, page, model, by_hand, curve):
    before = model.tree.parameters
    drag(by_hand.sigma_editor, curve[1], (505.0, 0.3), (510.0, 0.4), (520.0, 0.5))
    settle(qtbot, app)
    points = model.tree.parameters.spec.sampler.points
    assert (points[0], points[2]) == (curve[0], curve[2])
    assert points[1] == pytest.approx((520, 0.5), abs=20)
    assert points[1][1] == pytest.approx(0.5, abs=0.05)
    assert model.chains.record.chain.spec.sampler == SigmaCurve(points=points)
    assert by_hand.sigma_editor._points == points
    model.tree.undo()
    assert model.tree.parameters == before
    settle(qtbot, app)
    assert by_hand.sigma_editor._points == curve
    model.tree.redo()
    settle(qtbot, app)
    assert by_hand.sigma_editor._points == points


def test_that_no_drag_leads_into_the_forbidden_zone(qtbot, app, page, model, by_hand, curve):
    drag(by_hand.sigma_editor, curve[0], (100.0, 0.5), (100.0, 0.9))
    settle(qtbot, app)
    assert model.state.tree.errors == ()
    assert model.state.notice is None
    noise = model.chains.record
    ceiling = [1 - noise.chain.source.tables.alpha_bar_at(s) for s in noise.times[1:]]
    assert all(sigma**2 <= room + 1e-9 for sigma, room in zip(noise.sigma, ceiling, strict=True))
    assert model.tree.parameters.spec.sampler.points[0][1] > 0


def test_that_a_click_begins_a_curve_with_the_noise_of_before(qtbot, app, page, model, by_hand):
    model.tree.edit("sampler.eta", 0.5)
    model.tree.settle()
    settle(qtbot, app)
    sigma = model.chains.record.sigma.copy()
    by_hand.sigma_editor.edit_requested.emit()
    settle(qtbot, app)
    assert model.state.tree.errors == ()
    assert isinstance(model.tree.parameters.spec.sampler, SigmaCurve)
    np.testing.assert_allclose(model.chains.record.sigma, sigma, atol=0.05)
    model.tree.undo()
    assert model.tree.parameters.spec.sampler == DDIM(eta=0.5)


def test_that_a_drag_of_tau_makes_the_times_explicit_in_one_step(qtbot, app, page, model, by_hand):
    before, times = model.tree.parameters, model.chains.record.times
    editor = by_hand.tau_editor
    t, y = editor._points[9]  # t rises
    assert t == times[-11]
    drag(editor, (t, y), (t + 5, y), (t + 12, y), (t + 20, y))
    settle(qtbot, app)
    spacing = model.tree.parameters.spec.spacing
    assert isinstance(spacing, ExplicitSpacing)
    moved = [a for a in spacing.values if a not in times]
    assert len(spacing.values) == 20
    assert moved == [pytest.approx(t + 20, abs=6)]
    assert model.chains.record.times == (*reversed(spacing.values), 0)
    assert not page.panel.form.field("steps").control.isEnabled()
    model.tree.undo()
    assert model.tree.parameters == before
    settle(qtbot, app)
    assert page.panel.form.field("steps").control.isEnabled()


def test_that_a_wrong_time_that_is_typed_is_said_under_its_field(qtbot, app, page, model):
    model.tree.edit("spacing", {"kind": "explicit", "values": (10, 500, 1000)})
    model.tree.settle()
    settle(qtbot, app)
    before = model.tree.parameters
    field = page.panel.form.field("spacing.values")
    edit = field.control.edit
    for text in ("10, 500, 2000", "10, 500, 400"):
        edit.setFocus()
        edit.selectAll()
        qtbot.keyClicks(edit, text)
        qtbot.keyClick(edit, Key.Key_Return)
        settle(qtbot, app)
        assert field._sentence.isVisible()
        assert len(field._sentence.text()) > 10
        assert model.tree.parameters == before
    edit.selectAll()
    qtbot.keyClicks(edit, "10, 400, 1000")
    qtbot.keyClick(edit, Key.Key_Return)
    settle(qtbot, app)
    assert not field._sentence.isVisible()
    assert model.chains.record.times == (1000, 400, 10, 0)


# --- the equation -----------------------------------------------------------------------------------------


@pytest.fixture
def equation(qtbot, app, page, model):
    """The equation of a step with noise, drawn."""
    model.tree.edit("sampler.eta", 0.5)
    model.tree.settle()
    settle(qtbot, app)
    model.player.seek(10)
    qtbot.waitUntil(lambda: any(placed.box.term.name == "noise" for placed in page.equation._placed))
    return page.equation


def hover(equation, name: str) -> None:
    """The pointer over a term; sent by hand, for the real pointer may stand there already."""
    place = next(p for p in equation._placed if p.box.term.name == name).rect.center()
    none = Qt.MouseButton.NoButton
    where = equation.mapToGlobal(place)
    move = QMouseEvent(QEvent.Type.MouseMove, place, where, none, none, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(equation, move)


def marked(page) -> set[str]:
    return {path for path in page.panel.form.paths if page.panel.form.field(path).name.marked}


def test_that_hovering_a_term_marks_what_sets_it_and_what_draws_it(page, equation):
    hover(equation, "noise")
    assert marked(page) == {"sampler.eta", "seed"}
    assert page.side.schedule_plot._marked == {"σ"}
    hover(equation, "eps_hat")
    assert marked(page) == {"sampler.eta", "guidance"}
    assert page.side.schedule_plot._marked == frozenset()
    assert page.side.eps_plot._marked == {"‖ε̂‖"}
    QApplication.sendEvent(equation, QEvent(QEvent.Type.Leave))
    assert marked(page) == set()
    assert page.side.eps_plot._marked == frozenset()


def test_that_an_edit_marks_the_terms_on_which_it_acts(page, equation):
    page.panel.form.edited.emit("sampler.eta", 0.6)
    assert equation._marked == {"noise", "eps_hat"}
    page.panel.form.edit_finished.emit()
    assert equation._marked == frozenset()


def test_that_every_control_and_curve_that_a_term_names_exists(qtbot, app, page, model):
    """Over all samplers: what a term is said to act on is on the page with one of them."""
    controls, curves = set(page.panel.form.paths), set()
    for kind in ("ddpm", "sigma", "predictor_corrector", "annealed_langevin"):
        model.tree.edit("sampler.kind", kind)
        model.tree.settle()
        controls |= set(page.panel.form.paths)
    model.tree.edit("guide.kind", "classifier")
    controls |= set(page.panel.form.paths) | {"guide.step"}  # that of a trained model's earlier checkpoint
    model.tree.edit("guidance", 2.0)
    model.tree.settle()
    settle(qtbot, app)
    for plot in page.side.chain_plots:
        curves |= set(plot._curves)
    for acts in ACTS.values():
        assert set(acts.controls) <= controls
        assert set(acts.curves) <= curves


# --- tabs -------------------------------------------------------------------------------------------------


def test_that_the_tabs_show_one_thing_at_a_time(qtbot, page):
    side = page.side
    assert side.tab == CURVES
    side.tabs.setFocus()
    for key in (BY_HAND, NEAREST):
        qtbot.keyClick(side.tabs, Key.Key_Right)
        assert side.tab == key
        panel = side.by_hand if key == BY_HAND else side.nearest
        assert side.stack.currentWidget().isAncestorOf(panel)
    side.show_tab("nothing")
    assert side.tab == NEAREST


def test_that_a_tab_is_made_when_it_is_looked_at_and_shows_what_is_known(page, model):
    side = page.side
    assert len(side.stack.findChildren(BasePlot)) == len(side.chain_plots) + 1
    model.player.seek(4)
    for tab, *_ in TABS:
        side.show_tab(tab)
    assert side.by_hand.tau_editor._points is not None
    assert side.trade.plot._mark == model.state.spec.guidance
    assert side.classifier.accuracy._mark == model.state.chains.facts.times[4]


def test_that_the_tab_key_goes_from_the_tabs_into_the_one_that_was_made_last(qtbot, page):
    page.side.show_tab(BY_HAND)
    QApplication.processEvents()
    page.side.tabs.setFocus()
    qtbot.keyClick(page.side.tabs, Key.Key_Tab)
    assert QApplication.focusWidget() is page.side.by_hand.sigma_editor


def test_that_memory_shows_the_nearest_training_images(qtbot, page, model):
    page.side.show_tab(NEAREST)
    qtbot.waitUntil(lambda: page.side.nearest.grid.count == 25)
    captions = page.side.nearest.grid.captions
    assert "the smallest to a training image is 0.0" in page.side.nearest.words.text()
    for row in range(5):  # the exact denoiser of the digits ends on digits
        assert captions[5 * row] == ""
        distances = [float(text) for text in captions[5 * row + 2 : 5 * row + 5]]
        assert distances == sorted(distances)
        assert distances[0] < 0.05
    before = list(captions)
    model.player.seek(4)
    qtbot.waitUntil(lambda: list(page.side.nearest.grid.captions) != before)
    assert "exact" in page.side.nearest.words.text()


def test_that_memory_says_when_the_training_images_are_not_known(qtbot, app, page, model, tmp_path):
    run = tmp_path / "run"
    finish(begin(run, tiny_config(steps=1)))
    (checkpoint,) = Run.open(run).checkpoint_folder.iterdir()
    checkpoint.rename(tmp_path / "model")
    page.side.show_tab(NEAREST)
    qtbot.waitUntil(lambda: page.side.nearest.grid.count == 25)
    with qtbot.waitSignal(page.model.beside.nearest.failed) as failed:
        model.choices.open_folder(tmp_path / "model")
        settle(qtbot, app)
    assert "model does not say which images it was trained on" in failed.args[0]
    assert page.side.nearest.grid.count == 0
    assert page.side.nearest.words.text() == ""


# --- images in the chain ----------------------------------------------------------------------------------


@pytest.fixture
def picture(tmp_path) -> Path:
    Image.fromarray(np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "real.png")
    return tmp_path / "real.png"


def test_that_a_row_for_images_appears_when_chains_begin_at_one(qtbot, app, page, model, picture):
    assert not page.panel.images.isVisible()
    model.tree.edit("start.kind", "inverted")
    model.tree.settle()
    settle(qtbot, app)
    assert page.panel.images.isVisible()
    assert "Choose an image first" in page.banner.text
    page.panel.images.add([str(picture)])
    settle(qtbot, app)
    assert model.tree.parameters.spec.start.files == (str(picture),)
    assert not page.banner.isVisible()
    assert model.chains.record.is_complete
    qtbot.waitUntil(lambda: str(picture) in page.panel.images.thumbs._images)
    assert page.side.error_plot.isVisible()
    page.panel.images.remove(str(picture))
    settle(qtbot, app)
    assert "Choose an image first" in page.banner.text
    model.tree.undo()
    settle(qtbot, app)
    assert page.panel.images.files == (str(picture),)
    model.tree.edit("start.kind", "noise")
    model.tree.settle()
    settle(qtbot, app)
    assert not page.panel.images.isVisible()
    assert not page.side.error_plot.isVisible()


def test_that_the_error_of_the_way_back_is_drawn_over_the_steps(qtbot, app, page, model, picture):
    told: list[list] = []
    page.model.beside.reconstruction.changed.connect(told.append)
    drop(app.shell, picture)
    settle(qtbot, app)
    qtbot.waitUntil(lambda: bool(told) and len(told[-1]) >= 3)
    assert [found.steps for found in told[-1][:3]] == [10, 20, 50]
    assert all(found.error > 0 for found in told[-1])


def test_that_a_broken_image_that_is_dropped_leaves_the_page_as_it_was(qtbot, app, page, model, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no")
    before, shown = model.tree.parameters, page.pictures.grid._words.copy()
    drop(app.shell, tmp_path / "broken.png")
    settle(qtbot, app)
    assert page.banner.text.startswith("broken.png cannot be used")
    assert model.tree.parameters == before
    assert not page.panel.images.isVisible()
    np.testing.assert_array_equal(page.pictures.grid._words, shown)


# --- lanes ------------------------------------------------------------------------------------------------


@pytest.fixture
def lanes(qtbot, app, page, model) -> Iterator:
    """The main chain and two branches with times of their own."""
    for position, values in ((5, (15, 100, 400, 500)), (9, (7, 30, 31, 32, 33, 34, 250))):
        model.tree.show(0)
        settle(qtbot, app)
        model.player.seek(position)
        model.branch()
        model.tree.edit("spacing", {"kind": "explicit", "values": (*values, 1000)})
        model.tree.settle()
        settle(qtbot, app)
    assert model.state.notice is None
    assert len(page.transport.timeline.tracks) == 3
    return page.transport.timeline


def at(timeline, lane: int, t: float) -> QPoint:
    return QPoint(round(timeline.plan.x_at(t)), round(timeline.plan.lane_top(lane)) + 4)


def test_that_a_click_on_a_lane_shows_its_track_at_that_time(qtbot, app, model, lanes):
    for lane, t in ((1, 400), (2, 250), (0, 300), (2, 550), (1, 100)):
        qtbot.mouseClick(lanes, Left, pos=at(lanes, lane, t))
        assert model.tree.value.active == lane
        settle(qtbot, app)
        assert lanes.active == lane
        assert model.chains.record is model.chains.records[lane]
        assert model.state.chains.facts.times[model.state.player.position] == pytest.approx(t, abs=8)
        assert lanes.position == model.state.player.position


def test_that_page_up_and_down_walk_over_the_lanes(qtbot, app, model, lanes):
    model.player.seek(model.chains.record.leaves + 1)
    time = model.state.chains.facts.times[model.state.player.position]
    lanes.setFocus()
    for lane in (1, 0, 1, 2):
        key = Key.Key_PageUp if lane < model.tree.value.active else Key.Key_PageDown
        qtbot.keyClick(lanes, key)
        settle(qtbot, app)
        assert model.tree.value.active == lanes.active == lane
        before, time = time, model.state.chains.facts.times[model.state.player.position]
        assert abs(time - before) == min(abs(t - before) for t in model.state.chains.facts.times)


def test_that_f2_names_a_branch(qtbot, app, page, model, lanes):
    lanes.setFocus()
    qtbot.keyClick(lanes, Key.Key_F2)
    dialog = page.findChild(QInputDialog)
    assert dialog.textValue() == ""
    dialog.setTextValue("few steps")
    dialog.accept()
    assert lanes.tracks[2].label == "few steps"
    qtbot.keyClick(lanes, Key.Key_F2)
    again = [d for d in page.findChildren(QInputDialog) if d.isVisible()]
    assert [d.textValue() for d in again] == ["few steps"]
    again[0].accept()
    settle(qtbot, app)
    assert model.tree.value.branches[1].name == "few steps"


def test_that_f2_leaves_the_main_chain_its_name(qtbot, page, model, lanes):
    model.tree.show(0)
    lanes.setFocus()
    qtbot.keyClick(lanes, Key.Key_F2)
    assert page.findChild(QInputDialog) is None


def test_that_delete_takes_the_branch_and_never_the_main_chain(qtbot, app, model, lanes):
    lanes.setFocus()
    qtbot.keyClick(lanes, Key.Key_Delete)
    settle(qtbot, app)
    assert len(lanes.tracks) == 2
    assert lanes.active == model.tree.value.active == 0
    qtbot.keyClick(lanes, Key.Key_Delete)
    settle(qtbot, app)
    assert len(lanes.tracks) == 2
    model.tree.undo()
    settle(qtbot, app)
    assert len(lanes.tracks) == 3


def test_that_start_and_count_of_a_branch_are_greyed(page, model, lanes):
    assert not page.panel.form.field("count").control.isEnabled()
    assert page.panel.form.field("seed").control.isEnabled()
    model.tree.show(0)
    assert page.panel.form.field("count").control.isEnabled()


# --- what is remembered -----------------------------------------------------------------------------------


def test_that_the_laboratory_is_as_it_was_after_closing(qtbot, open_app):
    app = open_app()
    studio = app.studio
    model = studio.sampling
    app.shell.resize(880, 690)
    model.tree.edit("steps", 12)
    model.tree.settle()
    settle(qtbot, app)
    model.player.seek(4)
    model.branch()
    model.tree.edit("sampler.kind", "heun")
    model.tree.settle()
    model.tree.rename(1, "mine")
    model.tree.compare(0)
    settle(qtbot, app)
    model.player.seek(7)
    model.pictures.set_view("change")
    model.pictures.set_layout("strip")
    studio.sample_page.side.show_tab(BY_HAND)
    studio.sample_page.columns.setSizes([500, 300])
    tree, pictures = model.tree.value, model.chains.record.picture("change", 7)
    sizes = studio.sample_page.layout_state()["columns"]
    app.close()

    again = open_app().studio
    assert again.sampling.tree.value == tree
    assert (again.sampling.state.pictures.view, again.sampling.state.pictures.layout) == ("change", "strip")
    assert again.sampling.state.player.position == 7
    assert again.sample_page.side.tab == BY_HAND
    assert again.sample_page.pictures.currentIndex() == STRIP
    assert [track.label for track in again.sample_page.transport.timeline.tracks] == ["main chain", "mine"]
    np.testing.assert_array_equal(again.sampling.chains.record.picture("change", 7), pictures)
    assert again.sampling.chains.compared is again.sampling.chains.records[0]
    for before, after in itertools.zip_longest(sizes, again.sample_page.columns.sizes()):
        assert abs(before - after) <= 2


def test_that_folders_dropped_on_the_page_are_data_and_no_images(qtbot, app, page, model, tmp_path):
    before = model.tree.parameters
    drop(app.shell, write_pictures(tmp_path / "zoo"))
    settle(qtbot, app)
    assert model.tree.parameters == before
    assert app.shell.current_page is app.studio.train_page

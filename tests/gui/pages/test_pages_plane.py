"""The 2-D page in its window: dragging, keys, pictures, files."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage

from diffusion_studio.engine.plane.contours import contour_segments
from diffusion_studio.engine.plane.field import FieldView, Window
from diffusion_studio.engine.plane.measures import Measures
from diffusion_studio.engine.plane.shapes import CUSTOM
from diffusion_studio.pages.plane.cards import facts, summary
from diffusion_studio.pages.tour_view import TourView
from diffusion_studio.viewmodels.plane import player as plane_player
from diffusion_studio.viewmodels.plane.methods import BUTTONS
from diffusion_studio.viewmodels.plane.tour.cards import CARDS
from diffusion_studio.widgets.look.theme import DARK, LIGHT, theme, unbroken
from diffusion_studio.widgets.plane.arrows import Arrow, arrow_ends
from diffusion_studio.widgets.plane.ink import ink_of_picture, ink_of_text
from diffusion_studio.widgets.plane.paint import affordable, age_color
from diffusion_studio.widgets.plane.raster import density_map, error_map, oklab, packed, ramp, splat

Key = Qt.Key


@pytest.fixture
def page(open_app, monkeypatch):
    monkeypatch.setattr(plane_player, "PATIENCE", 60.0)  # a seek arrives at once, however busy the machine
    app = open_app(computed=False, page="plane")
    page = app.studio.plane_page
    page.model.player.stop()
    page.model.edit("count", 200)
    page.model.editor.settle()
    return page


@pytest.fixture
def model(page):
    return page.model


@pytest.fixture
def press(qtbot, page):
    def press(*keys: Key) -> None:
        for key in keys:
            qtbot.keyClick(page.window().focusWidget() or page, key)

    return press


def at(page, x: float, y: float) -> QPoint:
    return page.plane.camera.to_pixels.map(QPointF(x, y)).toPoint()


def test_that_a_process_that_misses_the_noise_says_so(page):
    field = page.panel.form.field("forward.kind")
    assert field._sentence.text() == ""
    page.model.edit("schedule.kind", "geometric")
    page.model.edit("schedule.largest", 1.0)
    assert "does not reach the noise" in field._sentence.text()


def test_that_words_over_a_narrow_picture_go_on_in_the_next_line(page):
    plane = page.plane
    plane.resize(240, 320)
    plane.set_words("top", "")
    before = plane.grab().toImage()
    plane.set_words("top", "far apart where nearly all of it lies " * 3)
    after = plane.grab().toImage()
    line = plane.fontMetrics().height()
    changed = [(x, y) for x in range(240) for y in range(320) if before.pixel(x, y) != after.pixel(x, y)]
    assert max(x for x, _ in changed) < 232
    assert max(y for _, y in changed) > 3 * line


def test_that_the_page_moves_when_it_is_opened(open_app, qtbot):
    app = open_app(computed=False)
    app.studio.show_page("plane")
    model = app.studio.plane
    qtbot.waitUntil(lambda: model.state.position > 2)
    app.studio.show_page("runs")
    assert not model.player.moving


def test_that_nothing_moves_by_itself_where_less_motion_is_asked_for(open_app, qtbot):
    theme().set_reduced_motion(True)
    app = open_app(computed=False)
    app.studio.settings.edit("motion", "less")
    app.studio.show_page("plane")
    assert not app.studio.plane.state.playing
    app.studio.settings.edit("motion", "full")
    app.studio.plane.player.play()
    app.studio.settings.edit("motion", "less")
    assert not app.studio.plane.state.playing
    theme().set_reduced_motion(None)


def test_that_keys_move_along_the_chain(qtbot, model, press):
    press(Key.Key_Home, Key.Key_Right, Key.Key_Up)
    assert model.state.position == 11
    press(Key.Key_Left, Key.Key_End)
    qtbot.waitUntil(lambda: model.state.position == 600)
    press(Key.Key_Home, Key.Key_Space)
    assert model.state.playing
    press(Key.Key_Space)
    assert not model.state.playing


def test_that_a_mode_is_dragged_and_the_drag_undone(qtbot, page, model):
    mode = model.spec.modes[2]
    plane, before = page.plane, model.spec
    shown = plane.picture()
    qtbot.mousePress(plane, Qt.MouseButton.LeftButton, pos=at(page, mode.x, mode.y))
    assert model.state.selected == 2
    assert page.panel.mode_form.isVisible()
    for x in (0.3, 0.6, 0.9):
        qtbot.mouseMove(plane, at(page, x, -0.5))
    qtbot.mouseRelease(plane, Qt.MouseButton.LeftButton, pos=at(page, 0.9, -0.5))
    assert model.spec.modes[2].x == pytest.approx(0.9, abs=0.03)
    assert model.spec.shape == CUSTOM
    assert (plane.picture() != shown).any()
    page.undo()
    assert model.spec == before


def test_that_an_ellipse_is_pulled_and_keys_nudge(qtbot, page, model):
    mode = model.spec.modes[0]
    plane = page.plane
    qtbot.mouseClick(plane, Qt.MouseButton.LeftButton, pos=at(page, mode.x, mode.y))
    grip = at(page, mode.x + 2 * mode.sd_1, mode.y)
    qtbot.mousePress(plane, Qt.MouseButton.LeftButton, pos=grip)
    qtbot.mouseMove(plane, at(page, mode.x, mode.y + 1.2))
    qtbot.mouseRelease(plane, Qt.MouseButton.LeftButton, pos=at(page, mode.x, mode.y + 1.2))
    pulled = model.spec.modes[0]
    assert pulled.sd_1 == pytest.approx(0.6, abs=0.02)
    assert pulled.angle == pytest.approx(np.pi / 2, abs=0.05)
    plane.setFocus()
    qtbot.keyClick(plane, Key.Key_Right)
    assert model.spec.modes[0].x == pytest.approx(pulled.x + 0.05)
    qtbot.keyClick(plane, Key.Key_Delete)
    assert len(model.spec.modes) == 2


def test_that_a_double_click_adds_and_the_right_button_starts_there(qtbot, page, model):
    qtbot.mouseDClick(page.plane, Qt.MouseButton.LeftButton, pos=at(page, 2.0, -2.0))
    assert len(model.spec.modes) == 4
    qtbot.mousePress(page.plane, Qt.MouseButton.RightButton, pos=at(page, -0.5, 0.1))
    assert model.spec.start == "point"
    assert model.spec.start_x == pytest.approx(-0.5, abs=0.02)
    model.player.seek(0)
    np.testing.assert_allclose(model.chain.x.numpy(), [[-0.5, 0.1]] * 200, atol=0.02)


def test_that_a_brush_draws_a_distribution(qtbot, page, model):
    page.panel.brush.click()
    qtbot.mousePress(page.plane, Qt.MouseButton.LeftButton, pos=at(page, -1, 0))
    for x in np.linspace(-1, 1, 30):
        qtbot.mouseMove(page.plane, at(page, float(x), 0.0))
    qtbot.mouseRelease(page.plane, Qt.MouseButton.LeftButton, pos=at(page, 1, 0))
    assert model.spec.shape == CUSTOM
    assert len(model.spec.modes) > 10
    assert page.panel.shapes.currentData() == CUSTOM


def test_that_every_shape_method_and_layer_is_drawn(page, model):
    for index in range(page.panel.shapes.count()):
        key = page.panel.shapes.itemData(index)
        if key not in (CUSTOM, "word", "picture"):
            page.panel._choose(index)
            page.plane.grab()
            assert model.spec.shape == key
    for key in (*reversed(BUTTONS), "langevin"):
        page.bar.methods.changed.emit(key)
        model.player.seek(5)
        page.plane.grab()
        assert page.bar.methods.value == key
    for action in page.bar.look_button.actions_by_choice.values():
        action.trigger()
        page.plane.grab()


def test_that_a_word_and_a_picture_become_the_density(page, model, tmp_path):
    page.panel.take_word("i")
    assert model.spec.shape == CUSTOM
    places = np.array([(m.x, m.y) for m in model.spec.modes])
    assert np.ptp(places[:, 1]) > 2 * np.ptp(places[:, 0])  # taller than wide
    image = QImage(60, 60, QImage.Format.Format_RGB32)
    image.fill(QColor("white"))
    for x in range(20, 40):
        for y in range(60):
            image.setPixelColor(x, y, QColor("black"))
    image.save(str(tmp_path / "bar.png"))
    page.panel.take_picture(str(tmp_path / "bar.png"))
    assert max(abs(m.x) for m in model.spec.modes) < 1
    page.panel.take_picture(str(tmp_path / "none.png"))
    assert "cannot be read" not in page.banner.text
    assert "not a picture" in page.banner.text


def test_that_learned_begins_to_learn_and_error_tells_its_number(qtbot, page, model):
    model.edit("learning.steps", 300)
    model.edit("learning.seconds", 600.0)
    model.edit("learning.width", 16)
    page.bar.fields.changed.emit("error")
    qtbot.waitUntil(lambda: model.state.learning.trained)
    qtbot.waitUntil(lambda: not model.state.learning.running)
    assert "Fisher divergence" in page.plane.drawing.words["top"]
    assert page.panel.learn.text() == "Learn again"
    page.plane.grab()
    assert "score error" in page.panel.progress.text()
    model.modes.choose_shape("ring")
    said = page.panel.progress.text()
    assert "score error" not in said and "another" in said
    model.editor.undo()
    assert "score error" in page.panel.progress.text()


def test_that_guidance_is_shown_in_arrows_lines_and_words(qtbot, page, model):
    field = page.panel.form.field("guide.gamma").control
    assert not field.isEnabled()
    model.edit("guide.label", 2)
    assert field.isEnabled()
    plain = page.plane.picture()
    model.set_look(replace(model.state.look, tilted=False))
    assert (page.plane.picture() != plain).any()
    model.set_look(replace(model.state.look, tilted=True))
    model.meter.measure()
    qtbot.waitUntil(lambda: "energy distance" in page.plane.drawing.words["top"])
    before = page.plane.grab().toImage()
    qtbot.mouseMove(page.plane, at(page, 0.5, 0.5))
    assert unbroken("∇ln p(y|x)") in page.plane.drawing.words["bottom"]
    assert len(page.plane.drawing.arrows[1]) == 3
    assert page.plane.grab().toImage() != before
    model.pointer.leave()
    assert page.plane.drawing.arrows[1] == ()
    model.edit("guide.label", 7)
    assert not field.isEnabled()
    assert page.plane.drawing.words["top"] == ""


def test_that_arrows_add_up_and_the_longest_fits():
    ends = arrow_ends((Arrow((3.0, 0.0), "score"), Arrow((0.0, 4.0), "guidance", after=0),
                       Arrow((3.0, 4.0), "guidance")), 100.0)  # fmt: skip
    assert ends[1][1] == ends[2][1] == QPointF(60, -80)
    assert arrow_ends((Arrow((0.0, 0.0), "score"),))[0][1] == QPointF(0, 0)


def test_that_paths_are_coloured_by_age(page, model):
    model.edit("count", 3)
    model.player.seek(60)
    model.set_look(
        replace(model.state.look, color="age", trails="whole", density=False, contours=False, arrows=False)
    )
    young, old = (QColor(age_color(age, theme().palette)) for age in (0.0, 0.1))
    assert young != old
    picture = page.plane.picture().astype(int)
    dots = np.abs(picture - [old.red(), old.green(), old.blue()]).sum(-1) == 0
    assert dots.any()  # the particles have the colour of now
    model.set_look(replace(model.state.look, surface=True))
    page.picture.surface.grab()


def test_that_the_note_says_what_exact_means(page, model):
    assert not page.panel.form.field("memorised").control.isEnabled()
    model.edit("reference", "points")
    model.editor.settle()
    assert page.panel.form.field("memorised").control.isEnabled()
    assert "memorising denoiser" in page.panel.note.text()
    page.plane.grab()


def test_that_the_landscape_is_drawn_turned_and_left_again(qtbot, page, model):
    model.set_look(replace(model.state.look, trails="whole"))
    model.player.seek(20)
    page.bar.relief.click()
    assert page.picture.currentWidget() is page.picture.surface
    first = page.picture.frame()
    page.picture.surface.turn_by(0.5, 0.1)
    assert (page.picture.frame() != first).any()
    page.bar.relief.click()
    assert page.picture.currentWidget() is page.plane


def test_that_the_tour_goes_round(qtbot, page, model):
    titles = []
    for _ in CARDS:
        view = page.cards.findChild(TourView)
        titles.append(view.accessibleName())
        view.after.click()
    assert len(set(titles)) == len(CARDS)
    assert page.tour.state.number == 0


def test_that_everything_seen_is_exported(qtbot, page, model, tmp_path):
    model.edit("process.steps", 12)
    model.editor.settle()
    for name in ("a.png", "a.svg", "a.gif", "a.webp", "a.mp4", "a.npz", "a.json"):
        page.exporter.export(tmp_path / name)
        qtbot.waitUntil(lambda name=name: (tmp_path / name).exists() and not model.files.busy)
        assert (tmp_path / name).stat().st_size > 100
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames >= 6
    for name in ("a.png", "a.json"):
        model.modes.choose_shape("ring")
        page.window().paths_dropped.emit([str(tmp_path / name)])
        assert model.spec.shape == "three"
    assert "<svg" in (tmp_path / "a.svg").read_text()


def test_that_the_pointer_reads_the_plane(qtbot, page):
    qtbot.mouseMove(page.plane, at(page, 0.5, 0.5))
    assert unbroken("ln pₜ") in page.plane.drawing.words["bottom"]
    page.model.pointer.leave()
    assert page.plane.drawing.words["bottom"] == ""


def test_that_the_page_comes_back_as_it_was_left(open_app):
    app = open_app(computed=False)
    app.studio.show_page("plane")
    model = app.studio.plane
    model.player.stop()
    model.modes.choose_shape("moons")
    model.choose_method("ddim")
    app.studio.plane_page.plane.set_zoom(2.0)
    app.close()
    again = open_app(computed=False)
    assert again.studio.plane.spec == model.spec
    assert again.studio.plane_page.plane.zoom == 2.0
    assert again.shell.current_page is again.studio.plane_page


def test_that_both_themes_have_maps_of_even_lightness(qapp):
    for palette in (DARK, LIGHT):
        for colors in (density_map(palette), error_map(palette)):
            rgb = np.stack([(colors >> s) & 255 for s in (16, 8, 0)], 1) / 255
            steps = np.diff(oklab(rgb)[:, 0])
            assert (np.sign(steps[np.abs(steps) > 1e-3]) == np.sign(steps.sum())).all()
    assert len(ramp("#000000", "#ffffff", count=16)) == 16


def test_that_dots_land_where_they_belong():
    frame = np.full((20, 30), 0xFF000000, np.uint32)
    splat(frame, np.array([10.0, np.nan, 500.0]), np.array([5.0, 5.0, 5.0]), packed("#ff8000"), 2.0)
    rows, columns = np.nonzero(frame != 0xFF000000)
    assert frame[5, 10] == packed("#ff8000")
    assert (rows.mean(), columns.mean()) == (5, 10)


def test_that_contours_are_circles_on_a_cone():
    y, x = np.mgrid[-3:3:61j, -3:3:61j]
    segments = contour_segments(-np.hypot(x, y), [-1.0, -2.0])
    radius = np.hypot(*(segments.reshape(-1, 2).T * 0.1 - 3))
    np.testing.assert_allclose(np.sort(np.unique(np.round(radius, 1))), [1.0, 2.0])
    assert contour_segments(np.zeros((4, 4)), []).shape == (0, 2, 2)


def test_that_a_flat_field_is_drawn_without_a_warning(page):
    flat = np.zeros((20, 20), np.float32)
    places = np.zeros((4, 2), np.float32)
    page.plane.set_field(FieldView(flat, (0.0,), Window(), places, places))
    page.plane.grab()
    theme().set_mode("light")
    page.plane.grab()


def test_that_ink_is_found_on_any_ground(qapp):
    ink = ink_of_text("o")
    assert ink.max() == 1
    assert 0.2 < ink.mean() < 0.9
    blank = QImage(10, 10, QImage.Format.Format_RGB32)
    blank.fill(QColor("white"))
    assert ink_of_picture(blank).max() == 0


def test_that_particles_that_ran_away_are_drawn_without_a_warning(page, model):
    far = np.array([[3e38, -3e38], [np.inf, 0], [np.nan, 1], [0, 0]], np.float32)
    for view in (page.plane, page.picture.surface):
        view.set_trails(np.stack([far, 0.5 * far, far]), (0, 1, 2, 3))
    page.plane.set_particles(far, np.arange(4))
    page.plane.grab()
    model.set_look(replace(model.state.look, surface=True, trails="whole"))
    page.picture.surface.grab()


def test_that_wild_trails_are_left_out_where_a_frame_has_no_time_for_them():
    random = np.random.default_rng(0)
    calm = random.normal(size=(600, 24, 2)).cumsum(0) * 5 + 270
    np.testing.assert_array_equal(affordable(calm), calm)
    wild = random.normal(size=(600, 24, 2)) * 60 + 270
    kept = affordable(wild)
    assert 1 <= kept.shape[1] < 6
    np.testing.assert_array_equal(kept, wild[:, : kept.shape[1]])
    one = random.uniform(0, 640, size=(3000, 2, 2))  # a single path is too much
    np.testing.assert_array_equal(affordable(one), one[-affordable(one).shape[0] :, :1])
    assert 100 < len(affordable(one)) < 1000
    calm[300:302] = np.nan  # out of sight
    assert affordable(calm).shape == calm.shape


@pytest.mark.parametrize("ages", [None, np.linspace(0, 1, 2000)])
def test_that_a_page_with_wild_trails_is_painted(page, ages):
    wild = np.random.default_rng(0).uniform(-3, 3, size=(2000, 24, 2))
    page.plane.set_trails(wild, tuple(range(8)) * 3, ages=ages)
    assert not page.plane.grab().isNull()


def test_that_a_video_that_cannot_be_written_is_said_before_it_is_recorded(
    qtbot, page, model, tmp_path, monkeypatch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    page.exporter.export(tmp_path / "a.mp4")
    assert "diffusion-studio[video]" in model.state.notice.text
    assert not model.player.moving


def test_that_particles_that_went_far_away_have_short_numbers_each_in_one_line():
    found = dict.fromkeys(Measures.__dataclass_fields__, 0.0)
    found |= {"energy": 194695197375542.3, "band": 0.0053, "log_density": float("nan"), "modes": 1.5}
    last = Measures(**found | {"exact_log_density": 1.49, "exact_modes": 39.45, "acceptance": 0.165})
    parts = ["1.9 · 10¹⁴ (exact 0.0053)", "ln p – (1.49)", "1.50 modes (39.45)", "kept 16.5 %"]
    assert summary(last) == "\u00a0· ".join(part.replace(" ", "\u00a0") for part in parts)
    assert "nan" not in facts(last) and "Energy distance 1.9\u00a0·\u00a010¹⁴;" in facts(last)

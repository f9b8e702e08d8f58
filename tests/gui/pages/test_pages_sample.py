"""The Sample page in its window: keys, sliders, pictures, files."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QPoint, Qt
from PySide6.QtWidgets import QApplication, QFileDialog, QPushButton

from diffusion_studio.core.samplers import DDIM
from diffusion_studio.engine.files import places
from diffusion_studio.engine.files.pictures import read_settings
from diffusion_studio.viewmodels.sample.sources import SourceCache
from diffusion_studio.widgets.forms.field import NameLabel
from diffusion_studio.widgets.images.mosaic import packed
from support.tiny import begin, finish, tiny_config
from support.window import settle

Key = Qt.Key


@pytest.fixture
def app(open_app):
    return open_app()


@pytest.fixture
def page(app):
    app.studio.show_page("sample")
    return app.studio.sample_page


@pytest.fixture
def model(page):
    return page.model


@pytest.fixture
def press(qtbot, app, page):
    """Presses keys wherever the focus is."""

    def press(*keys: Key) -> None:
        for key in keys:
            qtbot.keyClick(app.shell.focusWidget() or page, key)

    return press


def shown(page) -> np.ndarray:
    return page.pictures.grid._words


def test_that_the_keys_move_along_the_chain(model, press):
    press(Key.Key_Home)
    assert model.state.player.position == 0
    press(Key.Key_Right, Key.Key_Right, Key.Key_Up)
    assert model.state.player.position == 12
    press(Key.Key_Left, Key.Key_Down)
    assert model.state.player.position == 1
    press(Key.Key_End)
    assert model.state.player.position == 50


def test_that_moving_along_the_chain_lays_nothing_out_again(qtbot, app, page, model):
    asked: list[str] = []

    class Layouts(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            if event.type() == QEvent.Type.LayoutRequest:
                asked.append(type(watched).__name__)
            return False

    def layouts() -> list[str]:
        asked.clear()
        for place in (0, 49, 50, 20):
            model.player.seek(place)
            qtbot.waitUntil(lambda: page.equation._missing() is None)
            for _ in range(4):
                QCoreApplication.processEvents()
        return list(asked)

    watch = Layouts()
    QApplication.instance().installEventFilter(watch)
    layouts()  # each equation is drawn for the first time, and the highest of them gives the height
    qtbot.waitUntil(lambda: layouts() == [])


def test_that_the_keys_play(model, press):
    press(Key.Key_Home, Key.Key_Space)
    assert model.state.player.playing
    press(Key.Key_Space)
    assert not model.state.player.playing
    press(Key.Key_L)
    assert model.state.player.playing
    press(Key.Key_K)
    assert not model.state.player.playing
    press(Key.Key_End, Key.Key_J)
    assert model.state.player.playing
    press(Key.Key_K)


def test_that_j_and_l_play_in_both_directions(qtbot, model, press):
    model.player.seek(20)
    press(Key.Key_L)
    qtbot.waitUntil(lambda: model.state.player.position > 21)
    press(Key.Key_J)
    qtbot.waitUntil(lambda: model.state.player.position < 20)
    press(Key.Key_K)


def test_that_twice_l_plays_twice_as_fast_also_from_the_end(model, press):
    press(Key.Key_End, Key.Key_L, Key.Key_L)
    assert model.player._factor == 2
    press(Key.Key_K, Key.Key_Space)
    assert model.player._factor == 1
    press(Key.Key_K)


def test_that_x_t_and_e_choose_what_is_shown(page, model, press):
    model.player.seek(30)
    for key, view in ((Key.Key_T, "x_t"), (Key.Key_E, "eps_hat"), (Key.Key_X, "x0_hat")):
        press(key)
        assert model.state.pictures.view == page.head.views.value == view
        expected = packed(model.chains.record.picture(view, 30))
        np.testing.assert_array_equal(shown(page), expected)


@pytest.mark.parametrize("name", ["browse", "export_button", "banner"])
def test_that_space_plays_and_never_presses_the_button_with_the_focus(page, model, press, name):
    places = {"browse": page.panel.browse, "export_button": page.tools.export_button, "banner": page.banner}
    button = places[name]
    if name == "banner":
        button.show_message("info", "Something.", "Press me")
        button = next(b for b in button.findChildren(QPushButton) if b.text() == "Press me")
    pressed = []
    button.pressed.connect(lambda: pressed.append(1))
    button.setFocus(Qt.FocusReason.TabFocusReason)
    assert button.hasFocus()
    press(Key.Key_Space)
    assert model.state.player.playing
    assert not pressed
    press(Key.Key_Space)
    assert not model.state.player.playing


def test_that_one_drag_of_eta_is_one_step_and_the_chain_follows(qtbot, app, page, model):
    model.player.seek(25)
    before = shown(page).copy()
    slider = page.panel.form.field("sampler.eta").control.slider
    middle = slider.height() // 2
    qtbot.mousePress(slider, Qt.MouseButton.LeftButton, pos=QPoint(6, middle))
    for share in (0.2, 0.5, 0.8, 1.0):
        qtbot.mouseMove(slider, QPoint(round(share * (slider.width() - 1)), middle))
    qtbot.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=QPoint(slider.width() - 1, middle))
    settle(qtbot, app)
    assert model.tree.parameters.spec.sampler == DDIM(eta=1.0)
    assert model.chains.record.chain.spec.sampler == DDIM(eta=1.0)
    assert model.state.player.position == 25
    assert (shown(page) != before).any()
    assert page.side.schedule_plot is not None
    assert app.shell.header._undo.isEnabled()
    qtbot.keyClick(app.shell, Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    settle(qtbot, app)
    assert model.tree.parameters.spec.sampler == DDIM(eta=0.0)
    assert not app.shell.header._undo.isEnabled()
    np.testing.assert_array_equal(shown(page), before)
    assert slider.value() == 0


def test_that_the_timeline_is_dragged(qtbot, page, model):
    timeline = page.transport.timeline
    y = timeline.height() // 2
    qtbot.mouseClick(timeline, Qt.MouseButton.LeftButton, pos=QPoint(round(timeline.plan.x_of(10)), y))
    assert model.state.player.position == 10
    assert page.transport.position == 10


def test_that_exactly_the_computed_states_are_drawn_as_ready(page, model):
    assert page.transport.timeline.tracks[0].ready == 50
    (track,) = model.state.chains.tracks
    for ready in (0, 7):
        chains = replace(model.state.chains, tracks=(replace(track, ready=ready),))
        page._render(replace(model.state, chains=chains))
        assert page.transport.timeline.tracks[0].ready == ready - 1


def test_that_the_equation_has_the_numbers_of_this_step(page, model):
    model.player.seek(25)
    step = model.state.pictures.step
    assert f"t = {step.t} → s = {step.s}" in page.equation.accessibleDescription()
    model.player.seek(50)
    assert "finished" in page.equation.accessibleDescription()


def test_that_the_class_stands_in_the_columns_of_the_fields(page):
    below = page.panel.form.field("steps")
    places = [
        [part.mapTo(page.panel, part.rect().topLeft()).x() for part in (name, control)]
        for name, control in (
            (page.panel.class_row.findChild(NameLabel), page.panel.labels), (below.name, below.control),
        )
    ]  # fmt: skip
    assert places[0] == places[1]


def test_that_the_class_is_chosen_from_the_list(qtbot, app, page, model):
    assert [page.panel.labels.itemText(i) for i in range(3)] == ["all in turn", "0", "1"]
    page.panel.labels.setCurrentIndex(4)
    page.panel.labels.activated.emit(4)
    settle(qtbot, app)
    assert model.tree.parameters.spec.label == 3
    assert set(page.pictures.grid.captions) == {"3"}
    model.tree.undo()
    settle(qtbot, app)
    assert page.panel.labels.currentIndex() == 0


def test_that_guidance_is_greyed_only_for_models_without_classes(qtbot, app, page, model):
    run = places.runs_dir() / "plain"
    finish(begin(run, tiny_config(steps=1, conditional=False)))
    assert page.panel.form.field("guidance").control.isEnabled()
    model.choices.refresh()
    model.choices.choose(str(run))
    settle(qtbot, app)
    assert not page.panel.form.field("guidance").control.isEnabled()
    assert not page.panel.class_row.isVisible()
    model.tree.undo()
    settle(qtbot, app)
    assert page.panel.form.field("guidance").control.isEnabled()
    assert page.panel.class_row.isVisible()


def test_that_the_list_of_denoisers_follows_the_parameters(qtbot, app, page, model):
    run = places.runs_dir() / "mine"
    finish(begin(run, tiny_config(steps=2)))
    model.choices.refresh()
    place = page.panel.sources.findData(str(run))
    page.panel.sources.setCurrentIndex(place)
    page.panel.sources.activated.emit(place)
    settle(qtbot, app)
    assert ("model", "mine") in page.chips()
    assert ("step", "2") in page.chips()
    model.tree.undo()
    settle(qtbot, app)
    assert page.panel.sources.currentData() == model.tree.parameters.source


def test_that_a_learned_variance_is_said_used_and_refused_elsewhere(qtbot, app, page, model):
    model.tree.edit("sampler.kind", "ddpm")
    settle(qtbot, app)
    model.tree.edit("sampler.variance", "learned")
    assert "Digits learned no variance" in page.panel.form.field("sampler.variance")._sentence.text()
    assert model.tree.parameters.spec.sampler.variance == "posterior"
    run, digits = places.runs_dir() / "hybrid", model.tree.parameters.source
    finish(begin(run, tiny_config(steps=2, objective={"variance": "hybrid"})))
    model.choices.refresh()
    model.choices.choose(str(run))
    settle(qtbot, app)
    assert ("variance", "learned") in page.chips()
    model.tree.edit("sampler.variance", "learned")
    settle(qtbot, app)
    assert model.chains.record.is_complete
    assert np.isfinite(model.chains.record.sigma).all()
    model.player.seek(model.chains.record.steps // 2)
    names = [term.name for term in page.equation._formula]
    assert "learned_noise" in names
    model.choices.choose(digits)
    settle(qtbot, app)
    assert "Digits learned no variance" in model.state.notice.text
    model.tree.edit("sampler.variance", "fixed_large")
    settle(qtbot, app)
    assert model.chains.record.is_complete
    assert model.chains.record.chain.source.name == "Digits"


def test_that_a_wrong_value_is_said_under_its_field(page, model):
    model.tree.edit("sampler.eta", 3.0)
    field = page.panel.form.field("sampler.eta")
    assert "less than or equal to 1" in field._sentence.text()
    model.tree.edit("sampler.eta", 0.0)
    assert field._sentence.isHidden()


WRITES = {"Picture of this step …": "png", "Animation of the chain …": "gif", "Every number …": "npz"}


@pytest.mark.parametrize("suffix", WRITES.values())
def test_that_export_asks_where_and_writes(qtbot, page, model, tmp_path, suffix):
    entry = next(a for a in page.tools.export_button.menu().actions() if WRITES.get(a.text()) == suffix)
    entry.trigger()
    dialog = page.findChild(QFileDialog)
    assert dialog.defaultSuffix() == suffix
    dialog.fileSelected.emit(str(tmp_path / f"a.{suffix}"))
    dialog.close()
    qtbot.waitUntil(page.banner.isVisible)
    assert f"a.{suffix}" in page.banner.text
    assert (tmp_path / f"a.{suffix}").stat().st_size > 0
    if suffix == "png":
        assert read_settings(tmp_path / "a.png")["position"] == model.state.player.position
    page.banner.dismiss()
    assert model.state.notice is None


def test_that_a_picture_is_dimmed_while_another_denoiser_opens(qtbot, app, page, model, monkeypatch):
    run = places.runs_dir() / "mine"
    finish(begin(run, tiny_config(steps=2)))
    model.choices.refresh()
    door, original = threading.Event(), SourceCache.open
    monkeypatch.setattr(SourceCache, "open", lambda cache, key: (door.wait(), original(cache, key))[1])
    before = shown(page)
    model.choices.choose(str(run))
    qtbot.waitUntil(page.pictures.veil.isVisible)
    assert page.pictures.veil.rect().contains(page.pictures.grid.geometry())
    assert "Opening mine" in page.pictures.veil.words
    assert page.pictures.veil.stop.isVisible()
    np.testing.assert_array_equal(shown(page), before)
    door.set()
    settle(qtbot, app)
    qtbot.waitUntil(page.pictures.veil.isHidden)
    assert model.state.chains.facts.model == "mine"

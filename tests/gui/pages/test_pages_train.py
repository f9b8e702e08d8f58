"""The Train page in its window: a training from the first click to the last checkpoint."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication
from PySide6.QtWidgets import QInputDialog, QLabel

from diffusion_studio.core.describe import with_values
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.machine.remote import Remote
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.forecast import Forecast
from diffusion_studio.engine.training.trial import Trial
from diffusion_studio.pages.train.expected import NARROWEST, ExpectedRow
from diffusion_studio.pages.train.images_view import ImagesView
from diffusion_studio.pages.train.samples import SamplesCard
from diffusion_studio.viewmodels.mirrors import mirror
from diffusion_studio.viewmodels.train import training as module
from diffusion_studio.viewmodels.train.outlook import TRYING
from diffusion_studio.viewmodels.train.overview import Overview
from diffusion_studio.viewmodels.train.preview_history import PreviewHistory
from diffusion_studio.viewmodels.train.state import FIRST_STEPS, TrainState
from support.tiny import begin, finish, tiny_config, write_pictures

TINY = {
    "model.width": 8, "model.multipliers": (1, 2), "model.layers": 1, "model.attention": 0,
    "diffusion.steps": 50, "training.batch_size": 16, "training.seconds": 0.0, "training.preview_share": 0.5,
}  # fmt: skip


@pytest.fixture
def app(open_app):
    return open_app(page="train")


@pytest.fixture
def page(app):
    app.studio.training.editor.set(with_values(app.studio.training.config, TINY.items()))
    return app.studio.train_page


def click(qtbot, button) -> None:
    assert button.isVisible()
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_that_a_training_is_steered_by_its_buttons(qtbot, app, page):
    model, card = page.model, page.progress
    assert page.views.currentWidget() is page.empty
    click(qtbot, card._start)
    assert page.views.currentWidget() is page.columns
    assert not page.panel.form.field("seed").control.isEnabled()
    assert not page.panel.presets.isEnabled()
    qtbot.waitUntil(lambda: model.state.phase == "running" and model.state.step > 0)
    qtbot.waitUntil(lambda: page.samples.grid.count > 0)
    click(qtbot, card._pause)
    qtbot.waitUntil(lambda: model.state.phase == "paused")
    paused_at = model.state.step
    click(qtbot, card._resume)
    qtbot.waitUntil(lambda: model.state.step > paused_at)
    click(qtbot, card._stop)
    assert card._stop.text() == "Saving…"
    qtbot.waitUntil(lambda: model.state.phase == "idle")
    assert Run.open(model.state.run).step == model.state.saved_step
    assert page.panel.form.field("seed").control.isEnabled()
    assert page.panel.presets.isEnabled()
    assert page.again.isVisible()
    assert ("saved", f"step {model.state.saved_step:,}") in page.chips()
    click(qtbot, page.sample_now)
    assert app.shell.current_page is app.studio.sample_page
    qtbot.waitUntil(lambda: app.studio.sampling.state.chains.facts.model == model.state.run.name)


def test_that_a_training_that_could_not_begin_leaves_the_page_as_it_was(qtbot, page, tmp_path):
    page.model.open_data(str(tmp_path / "gone"))
    qtbot.waitUntil(lambda: page.model.state.reading is None)
    assert not page.progress._start.isEnabled()
    page.model.start()
    qtbot.waitUntil(lambda: not page.model.state.busy)
    assert page.views.currentWidget() is page.empty
    assert not page.again.isVisible()
    assert not page.sample_now.isVisible()
    assert "gone" in page.banner.text


def test_that_the_smaller_batch_is_offered_and_taken(qtbot, page, monkeypatch):
    original = module.train

    def short_of_memory(session, control):
        if session.config.training.batch_size > 8:
            yield events.Finished("failed", "There is not enough memory.", "", 0, smaller_batch=8)
        yield from original(session, control)

    monkeypatch.setattr(module, "train", short_of_memory)
    page.model.start()
    qtbot.waitUntil(page.banner.isVisible)
    assert page.banner._action.text() == "Try a batch of 8"
    qtbot.waitUntil(lambda: not page.model.state.busy)
    click(qtbot, page.banner._action)
    qtbot.waitUntil(lambda: page.model.state.step > 0)
    assert page.model.config.training.batch_size == 8
    assert not page.banner.isVisible()
    page.model.stop()
    qtbot.waitUntil(lambda: not page.model.state.busy)


def test_that_the_command_of_the_training_is_copied(page):
    page.model.edit("training.learning_rate", 0.002)
    more = page.more
    copy = more.menu().actions()[2]
    more.menu().aboutToShow.emit()
    assert not (more.rest.isEnabled() or more.end.isEnabled()), "nobody trains the run that is shown"
    assert not more.begin.isVisible()
    copy.trigger()
    command = QGuiApplication.clipboard().text()
    assert command.startswith("diffusion-studio train digits ")
    assert "--set training.learning_rate=0.002" in command


def test_that_another_process_can_be_asked_to_rest_and_to_go_on(page, monkeypatch):
    following, more, asked = page.model.following, page.more, []
    monkeypatch.setattr(type(following), "run", Path("somewhere"))
    monkeypatch.setattr(following, "ask", asked.append)
    for rests, text in ((False, "Pause the other process"), (True, "Let the other process go on")):
        following.rests = rests
        more.menu().aboutToShow.emit()
        assert (more.rest.text(), more.rest.isEnabled(), more.end.isEnabled()) == (text, True, True)
        more.rest.trigger()
    more.end.trigger()
    assert asked == ["pause", "go on", "stop"]


def test_that_a_run_on_another_machine_is_asked_for_by_its_address(page, monkeypatch):
    page.more.menu().actions()[3].trigger()
    dialog = page.more.findChild(QInputDialog)
    assert dialog.textValue() == "ssh://"
    dialog.setTextValue("server/runs")
    dialog.accept()
    assert "is no address of a run" in page.banner.text


def test_that_the_mirror_of_a_run_is_not_gone_on_with_here(page, tmp_path, monkeypatch):
    monkeypatch.setattr("diffusion_studio.viewmodels.train.following.EVERY_THERE", 3600.0)  # nobody is asked
    remote, there = Remote("server", 0, "/runs/photos"), tmp_path / "photos"
    finish(begin(there, tiny_config(steps=1)))
    monkeypatch.setattr(Remote, "mirror", lambda _, to, *__: shutil.copytree(there, to, dirs_exist_ok=True))
    page.model.show_run(mirror(remote, lambda: False))
    page.more.menu().aboutToShow.emit()
    assert (page.again.isVisible(), page.sample_now.isVisible()) == (False, False)
    assert page.more.begin.isVisible()


def test_that_presets_follow_the_parameters(qtbot, app):
    page = app.studio.train_page
    assert page.panel.presets.value == "minute"
    page.panel.presets.changed.emit("best")
    assert page.panel.presets.value == "best"
    assert page.model.config.training.seconds == 3600
    app.shell.header.undo_requested.emit()
    assert page.panel.presets.value == "minute"


def test_that_a_preset_says_how_far_it_was_left_and_leads_back(qtbot, app):
    page = app.studio.train_page
    panel = page.panel
    assert not panel.reset.isVisible()
    page.model.edit("training.seconds", 90.0)
    page.model.edit("training.batch_size", 16)
    page.model.settle()
    assert panel.presets.value == "minute"
    assert panel.changes.text() == "In a minute, 2 changes"
    assert "batch" in panel.changes.toolTip()
    click(qtbot, panel.reset)
    assert (page.model.config.training.seconds, page.model.config.training.batch_size) == (60.0, 0)
    assert not panel.reset.isVisible()


def test_that_everything_goes_to_default_but_the_images_and_back(app):
    page = app.studio.train_page
    model, before = page.model, page.model.config
    for path, value in (("seed", 4), ("objective.predict", "eps"), ("diffusion.steps", 100)):
        model.edit(path, value)
    model.settle()
    changed = model.config
    page.acts()["defaults"].do()
    assert model.config == before
    page.undo()
    assert model.config == changed


def test_that_betas_that_are_cut_are_told_under_the_schedule(page):
    page.model.edit("diffusion.schedule.kind", "linear")
    field = page.panel.form.field("diffusion.schedule.kind")
    assert field._note == ""
    page.model.edit("diffusion.steps", 10)
    assert page.panel.form.field("diffusion.schedule.kind")._note.startswith("5 of the 10 β_t are cut")


def test_that_the_algorithm_of_the_training_is_shown_and_its_running_lines_are_marked(qtbot, page):
    box = page.algorithm
    page.model.edit("objective.predict", "x_0")
    assert box._source.text() == "Course algorithm 1"
    page.model.edit("objective.predict", "eps")
    assert box._source.text() == "Course algorithm 2"
    assert box.marked == ()
    page.model.edit("training.steps", 100_000)
    page.model.start()
    qtbot.waitUntil(lambda: page.model.state.phase == "running")
    assert box.marked == (3, 4, 5, 6, 7)
    page.model.stop()
    qtbot.waitUntil(lambda: not page.model.state.busy)
    assert box.marked == (9,)


def test_that_a_folder_that_is_opened_fills_the_middle_with_its_images(qtbot, page, tmp_path):
    folder = tmp_path / "sprites"
    write_pictures(folder, ("cats",), each=3)
    write_pictures(folder, ("dogs of an unusually long name",), each=1, seed=2)
    for number in range(5):
        (folder / f"{number}.txt").write_text("no picture")
    page.model.open_data(str(folder))
    qtbot.waitUntil(lambda: page.model.state.overview is not None and page.model.state.reading is None)
    view = page.images
    assert page.views.currentWidget() is view
    assert view.pictures.count == 4
    assert "cats  3: 75 %" in view.bars.describe()
    said = [words.text() for words in view.left_out.findChildren(QLabel)]
    assert "5 other files ignored" in said
    view._take_colour(QColor("#102030"))
    assert page.model.config.data.background == "#102030"
    page.model.undo()
    assert page.model.config.data.background == "#ffffff"
    page.views.look_at("training")
    assert page.views.currentWidget() is page.empty


def test_that_it_is_asked_whether_large_pictures_keep_their_size(qtbot, page, tmp_path):
    folder, model, question = tmp_path / "photos", page.model, page.panel.sizes
    folder.mkdir()
    for number in range(3):
        Image.new("L", (120, 80), 40 * number).save(folder / f"{number}.png")
    assert question.isHidden()  # digits are learned as they are
    model.open_data(str(folder))
    qtbot.waitUntil(lambda: model.state.sides is not None)
    said = "Pictures of 120×80 are learned at 64×64: cut to squares, made smaller."
    assert said in page.panel.data_card._notes.text()
    assert "At 80 px each takes about 1.6 times as long" in question.text
    click(qtbot, question.own)
    assert model.config.data.resolution == 80 and question.isHidden()
    qtbot.waitUntil(lambda: model.state.reading is None)
    assert "learned at 80×80: cut to squares." in page.panel.data_card._notes.text()
    model.undo()
    qtbot.waitUntil(lambda: model.state.sides == (64, 80))
    click(qtbot, question.smaller)
    assert model.config.data.resolution == 64
    qtbot.waitUntil(lambda: model.state.reading is None)
    assert question.isHidden() and said in page.panel.data_card._notes.text()


def test_that_only_a_folder_that_could_be_opened_is_remembered_and_offered(qtbot, app, page, tmp_path):
    folder, nothing = write_pictures(tmp_path / "sprites", each=2), tmp_path / "nothing"
    memory, card = app.memory, page.panel.data_card
    page.model.open_data(str(folder))
    qtbot.waitUntil(lambda: page.model.state.data is not None and page.model.state.data.name == "sprites")
    page.model.open_data(str(nothing))
    qtbot.waitUntil(lambda: page.model.state.notice is not None and page.model.state.reading is None)
    assert memory.get("config")["data"]["source"] == str(folder)
    assert memory.get("recent") == [str(folder), "digits"]
    page.model.edit("seed", 3)  # what else is changed is remembered
    assert (memory.get("config")["seed"], memory.get("config")["data"]["source"]) == (3, str(folder))
    card._offered.aboutToShow.emit()
    digits, again = card._offered.actions()
    assert digits.text() == "Built-in digits"
    again.trigger()
    assert page.model.config.data.source == str(folder)
    digits.trigger()
    assert page.model.config.data.source == "digits"


def test_that_pictures_of_every_class_are_seen_in_little_room(qtbot):
    view = ImagesView()
    qtbot.addWidget(view)
    names = tuple(name for name in ("ape", "bee", "cat", "dog", "eel") for _ in range(12))
    found = Overview("zoo", np.zeros((60, 8, 8, 1), np.uint8), names, (), (), ())
    view.show_state(None, TrainState(tiny_config(), "", overview=found))
    view.resize(600, 300)
    view.show()
    shown = view.pictures.captions
    assert len(shown) == view.pictures.count < 60
    assert set(shown) == set(names)
    assert list(shown) == sorted(shown)


def test_that_samples_are_announced_only_while_something_trains(qtbot):
    card = SamplesCard(PreviewHistory())
    qtbot.addWidget(card)
    card.show_phase("running")
    assert (
        card.grid.accessibleDescription() == "The first samples appear here after a few seconds of training."
    )
    card.show_phase("idle")
    assert card.grid.accessibleDescription().startswith("This run ended before it drew samples.")


def test_that_what_to_expect_ends_no_line_between_a_number_and_its_unit(qtbot):
    row = ExpectedRow()
    qtbot.addWidget(row)
    found = Forecast(0, 0.0, 1.4, 42, 60.0, 8, 1)
    trial = Trial(found, weights=635_681, memory=10**8, free=10**10)
    row.show_state(TrainState(tiny_config(), "", trial=trial))
    assert "in 1\u00a0min" in row.text
    assert "0.1\u00a0GB" in row.text


def test_that_the_place_of_what_to_expect_says_that_it_is_being_found_out(qtbot):
    row = ExpectedRow()
    qtbot.addWidget(row)
    state = TrainState(tiny_config(), "", instead=TRYING)
    row.show_state(state)
    assert not row.isHidden() and row.text == TRYING
    assert row.longer.isHidden() and row.smaller.isHidden()
    row.show_state(replace(state, phase="preparing"))
    assert row.text == FIRST_STEPS
    row.show_state(replace(state, instead=""))
    assert row.isHidden()


@pytest.mark.parametrize(("width", "beside"), [(480, False), (900, True)])
def test_that_what_to_expect_is_no_narrow_column_beside_its_buttons(qtbot, width, beside):
    row = ExpectedRow()
    qtbot.addWidget(row)
    found = Forecast(0, 0.0, 0.46, 130, 60.0, 64, 3)
    trial = Trial(found, weights=2_422_963, memory=4 * 10**8, free=10**10)
    row.show_state(TrainState(tiny_config(steps=0, seconds=60.0), "", trial=trial))
    row.resize(width, row.heightForWidth(width))
    row.show()
    sentence, ways = row.findChild(QLabel).geometry(), row.longer.parentWidget().geometry()
    assert sentence.width() >= NARROWEST
    assert sentence.width() >= row.contentsRect().width() - (ways.width() + 8 if beside else 0)
    assert row.longer.y() == row.smaller.y()
    assert not sentence.intersects(ways)
    assert (ways.top() < sentence.bottom()) == beside
    assert max(sentence.bottom(), ways.bottom()) < row.height()


def test_that_only_what_helps_is_offered(qtbot):
    row = ExpectedRow()
    qtbot.addWidget(row)
    short = Forecast(0, 0.0, 0.46, 130, 60.0, 64, 3)

    def shown(forecast, **training):
        trial = Trial(forecast, weights=635_681, memory=10**8, free=10**10)
        row.show_state(TrainState(tiny_config(**{"steps": 0, **training}), "", trial=trial))
        return [button.text() for button in (row.longer, row.smaller) if not button.isHidden()]

    assert shown(short, seconds=60.0) == ["Train 5 min", "Use 40 px"]
    assert shown(short, seconds=1.0) == ["Train 5 min"]
    assert shown(replace(short, step_seconds=3600.0), seconds=60.0) == []
    assert shown(replace(short, last_step=900), seconds=414.0) == []

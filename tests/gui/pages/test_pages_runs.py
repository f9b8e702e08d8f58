"""The Runs page in its window: what lies on disk, and what can be done with it."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QWidget

from diffusion_studio.engine.files import places
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.pages.runs.card import _facts
from diffusion_studio.pages.runs.table import BY, RunRows
from diffusion_studio.pages.runs.trash import TrashDialog
from diffusion_studio.viewmodels.runs.order import Arrangement
from diffusion_studio.viewmodels.runs.summary import RunSummary
from support.tiny import begin, finish, tiny_config
from support.window import settle


@pytest.fixture
def run(isolated_home):
    """A run of two steps in the folder of runs."""
    path = places.runs_dir() / "mine"
    finish(begin(path, tiny_config(steps=2, preview_count=4, preview_share=0.5)))
    return path


@pytest.fixture
def app(qtbot, open_app):
    app = open_app(page="runs")
    listed(qtbot, app)
    return app


def listed(qtbot, app) -> None:
    qtbot.waitUntil(lambda: app.studio.runs.state.listed and not app.studio.runs._listing.busy)


def click(qtbot, button) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def column(page, by: str) -> list[str]:
    """What stands in a column, row by row."""
    rows = page.table.rows
    return [rows.data(rows.index(row, BY.index(by))) for row in range(rows.rowCount())]


def test_that_without_runs_it_leads_to_training(qtbot, app):
    page = app.studio.runs_page
    assert page.views.currentWidget() is page.empty
    assert not any(button.isEnabled() for button in page.foot.actions_of_run)
    assert str(places.runs_dir()) in page.empty.accessibleDescription()
    page.empty.primary_requested.emit()
    assert app.shell.current_page is app.studio.train_page


def test_that_numbers_end_one_under_the_other():
    rows = RunRows(QWidget())
    role, across = Qt.ItemDataRole.TextAlignmentRole, Qt.Orientation.Horizontal
    right = [by for place, by in enumerate(BY) if rows.headerData(place, across, role) is not None]
    assert right == ["step", "loss", "trained", "size"]
    run = RunSummary(Path("a"), "ddpm", False, "digits", 1000, 0.5, 10**6, 60.0, 0.0, None)
    rows.show((run,), Arrangement())
    assert [by for place, by in enumerate(BY) if rows.data(rows.index(0, place), role) is not None] == right
    rows.show((replace(run, loss=-1.326),), Arrangement())
    assert rows.data(rows.index(0, BY.index("loss")), Qt.ItemDataRole.DisplayRole) == "−1.3260"


def test_that_a_run_is_listed_with_its_facts(qtbot, run, app):
    page = app.studio.runs_page
    told = {by: column(page, by) for by in ("name", "kind", "data", "step")}
    assert told == {"name": ["mine"], "kind": ["diffusion"], "data": ["digits"], "step": ["2"]}
    assert float(column(page, "loss")[0]) > 0
    assert app.studio.runs.state.selected == run
    assert page.card.grid.count == 4
    assert all(button.isEnabled() for button in page.foot.actions_of_run)
    assert ("runs", "1") in page.chips()


def test_that_a_long_name_of_images_does_not_widen_the_panel(app):
    card = app.studio.runs_page.card
    least = []
    for name in ("digits", "photographs of my garden in the summer of the year before last, all of them"):
        run = RunSummary(Path("a"), "ddpm", False, name, 1000, 0.5, 10**6, 60.0, 0.0, None)
        card.facts.setText(_facts(run))
        least.append(card.facts.minimumSizeHint().width())
    assert least[0] == least[1]


def test_that_a_broken_run_says_why_and_offers_nothing_that_cannot_be(qtbot, run, open_app):
    (run / "config.json").write_text("{")
    app = open_app(page="runs")
    listed(qtbot, app)
    page = app.studio.runs_page
    assert "config.json" in page.card.facts.text()
    assert not page.foot.sample.isEnabled()
    assert not page.foot.resume.isEnabled()
    assert page.foot.trash.isEnabled()


def test_that_its_chain_is_walked_through(qtbot, run, app):
    click(qtbot, app.studio.runs_page.foot.sample)
    settle(qtbot, app)
    assert app.shell.current_page is app.studio.sample_page
    assert app.studio.sampling.state.chains.facts.model == "mine"


def test_that_its_curves_are_shown(qtbot, run, app):
    click(qtbot, app.studio.runs_page.foot.show_curves)
    assert app.shell.current_page is app.studio.train_page
    assert app.studio.training.record.losses.steps.tolist() == [1, 2]
    assert app.studio.train_page.views.currentWidget() is app.studio.train_page.columns
    assert app.studio.train_page.samples.grid.count == 4


def test_that_it_is_resumed(qtbot, run, app):
    click(qtbot, app.studio.runs_page.foot.resume)
    assert app.shell.current_page is app.studio.train_page
    qtbot.waitUntil(lambda: not app.studio.training.state.busy)
    assert Run.open(run).step == 4
    app.studio.show_page("runs")
    qtbot.waitUntil(lambda: column(app.studio.runs_page, "step") == ["4"])


def test_that_it_goes_to_the_trash_and_comes_back(qtbot, run, app):
    page, studio = app.studio.runs_page, app.studio
    assert str(run) in [choice.key for choice in studio.sampling.state.choices]
    click(qtbot, page.foot.trash)
    listed(qtbot, app)
    assert not run.exists()
    assert page.views.currentWidget() is page.empty
    assert str(run) not in [choice.key for choice in studio.sampling.state.choices]
    assert "trash" in page.banner.text
    assert app.shell.header._undo.isEnabled()
    click(qtbot, page.banner._action)
    listed(qtbot, app)
    assert Run.open(run).step == 2
    assert column(page, "name") == ["mine"]
    assert str(run) in [choice.key for choice in studio.sampling.state.choices]
    assert not page.banner.isVisible()
    assert not app.shell.header._undo.isEnabled()


def test_that_undo_puts_it_back_too(qtbot, run, app):
    click(qtbot, app.studio.runs_page.foot.trash)
    qtbot.keyClick(app.shell, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert run.exists()


def test_that_undo_puts_back_one_after_the_other(qtbot, run, app):
    other = places.runs_dir() / "other"
    finish(begin(other, tiny_config(steps=1)))
    page, model = app.studio.runs_page, app.studio.runs
    for path in (run, other):
        model.trash(path)
    for path in (other, run):
        assert app.shell.header._undo.isEnabled()
        page.undo()
        assert path.exists()
    assert not app.shell.header._undo.isEnabled()


def test_that_the_trash_is_seen_put_back_and_emptied(qtbot, run, app):
    other = places.runs_dir() / "other"
    finish(begin(other, tiny_config(steps=1)))
    page, model = app.studio.runs_page, app.studio.runs
    for path in (run, other):
        model.trash(path)
    listed(qtbot, app)
    assert page.foot.show_trash.text().startswith("Trash: 2 runs, ")
    click(qtbot, page.foot.show_trash)
    (dialog,) = page.findChildren(TrashDialog)
    assert [item.path.name for item in dialog._all()] == ["mine", "other"]
    assert not dialog.back.isEnabled()
    dialog.list.topLevelItem(0).setSelected(True)
    click(qtbot, dialog.back)
    listed(qtbot, app)
    assert run.exists()
    click(qtbot, dialog.delete)
    assert dialog.delete.text().startswith("Really delete 1 run, ")
    assert model.state.trash  # not at the first press
    click(qtbot, dialog.delete)
    qtbot.waitUntil(lambda: not model.state.trash)
    assert not page.foot.show_trash.isVisible()
    assert not app.shell.header._undo.isEnabled()
    dialog.close()


def test_that_a_run_in_training_stays(qtbot, run, app):
    page = app.studio.runs_page
    with Run.open(run).lock():
        click(qtbot, page.foot.trash)
    assert "is being trained" in page.banner.text
    assert run.exists()


def test_that_of_several_runs_the_chosen_one_stays_chosen(qtbot, run, app):
    for name in ("a", "b"):
        finish(begin(places.runs_dir() / name, tiny_config(steps=1)))
    page, model = app.studio.runs_page, app.studio.runs
    model.refresh()
    listed(qtbot, app)
    assert len(column(page, "name")) == 3
    assert model.state.selected == run
    row = column(page, "name").index("a")
    page.table.selectRow(row)
    assert model.state.selected.name == "a"
    model.refresh()
    listed(qtbot, app)
    assert model.state.selected.name == "a"
    assert page.table.currentIndex().row() == row


@pytest.mark.parametrize(("number", "name"), [(0, "mine-model"), (2, "mine.gif")])
def test_that_a_run_is_exported_where_a_person_says(qtbot, run, app, tmp_path, number, name):
    page = app.studio.runs_page
    page.foot.export.menu().actions()[number].trigger()
    dialog = page.findChild(QFileDialog)
    assert Path(dialog.selectedFiles()[0]).name == name
    dialog.fileSelected.emit(str(tmp_path / name))
    dialog.close()
    qtbot.waitUntil(lambda: page.banner.isVisible() and "Saved" in page.banner.text)
    assert (tmp_path / name).exists()


def test_that_an_extra_that_is_missing_is_named(qtbot, run, app, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    app.studio.runs.exports.export(run, tmp_path / "network.onnx")
    page = app.studio.runs_page
    qtbot.waitUntil(lambda: page.banner.isVisible() and "diffusion-studio[onnx]" in page.banner.text)


def test_that_a_new_run_begins_with_its_settings_under_its_new_name_everywhere(qtbot, run, app):
    page, studio = app.studio.runs_page, app.studio
    page.model.rename("the first")
    with qtbot.waitSignal(page.model.written):
        pass
    assert "the first · newest" in [choice.title for choice in studio.sampling.state.choices]
    page.ask_for_export(0)
    dialog = page.findChild(QFileDialog)
    assert Path(dialog.selectedFiles()[0]).name == "the first-model"
    dialog.close()
    click(qtbot, page.foot.show_curves)
    assert ("run", "the first") in studio.train_page.chips()
    assert studio.training.work().words.startswith("the first: ")
    studio.show_page("runs")
    click(qtbot, page.foot.again)
    assert app.shell.current_page is studio.train_page
    assert studio.training.config == Run.open(run).afresh
    studio.training.undo()
    assert studio.training.config != Run.open(run).afresh


def test_that_a_run_that_is_given_is_in_the_lab_book_too(qtbot, isolated_home, open_app, tmp_path):
    path = tmp_path / "disk" / "first"
    finish(begin(path, tiny_config(steps=1)))
    app = open_app(path)
    assert app.shell.current_page is app.studio.sample_page
    app.studio.show_page("runs")
    listed(qtbot, app)
    assert column(app.studio.runs_page, "name") == ["first"]


def test_that_a_training_that_gets_on_shows_in_the_list_that_is_looked_at(qtbot, run, app):
    finish(begin(places.runs_dir() / "new", tiny_config(steps=1)))
    app.studio.training.saved.emit(places.runs_dir() / "new")
    qtbot.waitUntil(lambda: sorted(column(app.studio.runs_page, "name")) == ["mine", "new"])

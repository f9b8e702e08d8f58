"""The classifier panel on the Sample page: it trains beside the window and is used at once."""

from __future__ import annotations

from gettext import GNUTranslations
from pathlib import Path

import pytest
from PySide6.QtCore import Qt

from diffusion_studio.engine.classifier.accuracy import AccuracyCurve
from diffusion_studio.engine.classifier.files import read_card
from diffusion_studio.pages.sample.classifier_panel import EXACT, LEARNED, USE, ClassifierPanel
from diffusion_studio.pages.sample.side import CLASSIFIER, CURVES
from diffusion_studio.viewmodels.sample import classifier as module
from diffusion_studio.viewmodels.sample.classifier import ClassifierState
from support.classifiers import NARROW, make_run, write_two_patterns
from support.window import settle

CURVE = AccuracyCurve(t=(1, 500, 1000), accuracy=(1.0, 0.6, 0.1))


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(module, "ClassifierSpec", NARROW)


@pytest.fixture
def panel(qtbot):
    panel = ClassifierPanel()
    qtbot.addWidget(panel)
    panel.resize(360, 600)
    panel.show()
    return panel


def visible(panel):
    parts = ("button", "seconds", "pause", "halt", "bar", "words", "knowledge", "notice", "detail")
    parts += ("accuracy", "loss")
    return {name for name in parts if getattr(panel, name).isVisible()}


@pytest.mark.parametrize("catalog", sorted(Path("resources/languages").glob("*/pages.mo")), ids=str)
def test_that_its_title_leaves_the_parameters_their_width_in_any_language(panel, catalog):
    with catalog.open("rb") as file:
        said = GNUTranslations(file)
    panel.card.set_title(said.gettext("Classifier of noisy images"))
    assert panel.minimumSizeHint().width() <= 220


def test_what_it_offers_in_each_state(panel, tmp_path):
    panel.show_state(ClassifierState())
    assert visible(panel) == {"words"}
    panel.show_state(ClassifierState(run=tmp_path))
    assert visible(panel) == {"words", "button", "seconds"}
    assert panel.button.text() == "Train a classifier"
    assert panel.words.text() == LEARNED
    panel.show_state(ClassifierState(run=tmp_path, trained=True, curve=CURVE, classes=10))
    assert visible(panel) == {"words", "button", "seconds", "knowledge", "accuracy"}
    assert panel.button.text() == "Train it again"
    assert panel.words.text() == USE
    panel.show_state(ClassifierState(run=tmp_path, phase="running", fraction=0.5, detail="step 7"))
    assert visible(panel) == {"pause", "halt", "bar", "detail"}
    assert panel.bar.value() == 500
    panel.show_state(ClassifierState(run=tmp_path, phase="paused"))
    assert panel.pause.text() == "Resume"
    panel.show_state(ClassifierState(run=tmp_path, phase="stopping"))
    assert not panel.pause.isEnabled()
    assert not panel.halt.isEnabled()
    panel.show_state(ClassifierState(exact=True, curve=CURVE, classes=10, notice="Why."))
    assert visible(panel) == {"words", "notice", "accuracy"}
    assert panel.words.text() == EXACT


def test_that_accuracy_stands_beside_guessing(panel, tmp_path):
    for exact, name, dash in (
        (False, "classifier", Qt.PenStyle.DashLine),
        (True, "exact posterior", Qt.PenStyle.SolidLine),
    ):
        panel.show_state(ClassifierState(run=tmp_path, exact=exact, trained=True, curve=CURVE, classes=10))
        lines = panel.accuracy._lines
        assert set(lines) == {name, "guessing"}
        assert tuple(lines[name].y) == CURVE.accuracy
        assert lines[name].dash == dash
        assert list(lines["guessing"].y) == [0.1, 0.1]


def test_that_the_chosen_time_is_asked_for(qtbot, panel, tmp_path):
    panel.show_state(ClassifierState(run=tmp_path))
    panel.seconds.set_value("120")
    with qtbot.waitSignal(panel.train_requested) as told:
        panel.button.click()
    assert told.args == [120.0]


def test_that_the_tab_measures_only_when_it_is_looked_at(qtbot, open_app):
    app = open_app()
    app.studio.show_page("sample")
    page = app.studio.sample_page
    assert page.side.tab == CURVES
    assert page.model.beside.classifier.state == ClassifierState()
    page.side.show_tab(CLASSIFIER)
    assert page.model.beside.classifier.state.exact
    qtbot.waitUntil(lambda: page.model.beside.classifier.state.trained)
    assert page.model.beside.classifier.state.curve.accuracy[0] == 1


def test_that_a_classifier_is_trained_and_guides_the_chain_on_show(qtbot, open_app, tmp_path):
    run = make_run(tmp_path / "run", write_two_patterns(tmp_path / "two"), conditional=False)
    app = open_app(run)
    model, page = app.studio.sampling, app.studio.sample_page
    model.tree.edit("steps", 10)
    page.side.show_tab(CLASSIFIER)
    settle(qtbot, app)
    assert page.model.beside.classifier.state.run == run
    assert model.chains.record.chain.source.classifier is None
    with qtbot.waitSignal(page.model.beside.classifier.trained):
        page.side.classifier.train_requested.emit(0.3)
    settle(qtbot, app)
    assert model.chains.record.chain.source.classifier_names == ("left", "right")
    assert len(page.side.classifier.loss._runs[0].steps) == read_card(run).step
    model.tree.edit("guide.kind", "classifier")
    model.tree.edit("guidance", 4.0)
    settle(qtbot, app)
    assert model.state.chains.facts.class_names == ("left", "right")
    assert model.chains.record.is_guided


def test_that_a_chain_that_lacks_a_classifier_gets_it_here(qtbot, open_app, tmp_path):
    run = make_run(tmp_path / "run", write_two_patterns(tmp_path / "two"), conditional=False)
    app = open_app()
    model, page = app.studio.sampling, app.studio.sample_page
    app.studio.show_page("sample")
    page.side.show_tab(CLASSIFIER)
    model.tree.edit("steps", 10)
    model.tree.edit("guide.kind", "classifier")  # the images themselves have one
    settle(qtbot, app)
    assert model.state.notice is None
    model.choices.open_folder(run)
    settle(qtbot, app)
    assert "has no classifier of noisy images yet" in model.state.notice.text
    assert page.model.beside.classifier.state == ClassifierState(run=run)
    with qtbot.waitSignal(page.model.beside.classifier.trained):
        page.side.classifier.train_requested.emit(0.3)
    settle(qtbot, app)
    assert model.state.notice is None
    assert model.state.chains.facts.model == "run"
    assert model.chains.record.is_guided


def test_that_closing_the_window_saves_a_classifier_in_training(qtbot, open_app, tmp_path):
    run = make_run(tmp_path / "run", write_two_patterns(tmp_path / "two"), conditional=False)
    app = open_app(run)
    page = app.studio.sample_page
    page.side.show_tab(CLASSIFIER)
    settle(qtbot, app)
    page.side.classifier.train_requested.emit(600.0)
    qtbot.waitUntil(lambda: page.model.beside.classifier.state.phase == "running")
    app.close()
    assert read_card(run).step > 0

"""The Autoencoder page in its window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from diffusion_studio.engine.autoencoder.measures import CodeReport, Scatter
from diffusion_studio.engine.runs.metrics import MetricsReader
from diffusion_studio.pages.autoencoder.bridge import scatter_words, titles
from diffusion_studio.pages.autoencoder.learn import columns_of, interleaved, words
from diffusion_studio.pages.tour_view import TourView
from diffusion_studio.viewmodels.autoencoder.measuring import MeasuredState, Stage
from diffusion_studio.viewmodels.autoencoder.tour import CARDS
from diffusion_studio.widgets.plots.math import power_text
from support.fits import faults

SMALL = {"code.width": 16, "training.batch_size": 32, "training.seconds": 0.0, "training.steps": 40}

SMALL_WINDOWS = ((960, 560), (960, 640), (1280, 720))


@pytest.fixture
def app(open_app):
    return open_app(page="autoencoder")


@pytest.fixture
def page(qtbot, app):
    page = app.studio.code_page
    qtbot.waitUntil(lambda: page.model.state.data is not None)
    for path, value in SMALL.items():
        page.model.edit(path, value)
    page.model.settle()
    return page


def click(qtbot, button) -> None:
    assert button.isVisible()
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def train(qtbot, page) -> None:
    click(qtbot, page.progress._start)
    qtbot.waitUntil(lambda: not page.model.state.busy and not page.model.training.busy)


def test_that_a_training_shows_curves_latents_and_pictures(qtbot, page):
    learn = page.learn
    page.model.record.begin()
    assert learn.terms._y_title == "nats per image"  # before anything is known of it
    train(qtbot, page)
    assert set(learn.terms._lines) == {"reconstruction", "KL"}
    assert learn.pairs.count == 48
    assert learn.samples.count == 24
    assert "of 2 are active" in learn.bars.describe()
    click(qtbot, learn.measure)
    qtbot.waitUntil(lambda: "bits/dim" in learn.facts.text())
    assert "score function" in learn.facts.text() and "e+" not in learn.facts.text()
    assert page.again.isVisible()


def test_that_the_pointer_moves_over_the_plane_of_codes(qtbot, page):
    train(qtbot, page)
    page.model.show("code")
    plane = page.code.plane
    qtbot.waitUntil(lambda: plane.isVisible() and page.code.way.count == 9)
    middle = plane.rect().center()
    with qtbot.waitSignal(page.model.latent.decoded):
        qtbot.mouseMove(plane, middle + QPoint(20, 0))
    assert page.code.picture.count == 1
    assert page.model.latent.state.code[0] > 0
    before = page.model.latent.state.code.copy()
    plane.setFocus()
    qtbot.keyClick(plane, Qt.Key.Key_Up)
    assert page.model.latent.state.code[1] > before[1]
    page.code.shown.changed.emit("map")
    qtbot.waitUntil(lambda: plane._map is not None)


def test_that_a_slider_moves_one_latent(qtbot, page):
    train(qtbot, page)
    page.model.show("code")
    rows = page.code.sliders._rows
    assert len(rows) == 2
    rows[1][1].setValue(150)
    assert page.model.latent.state.code[1] == pytest.approx(1.5)


def test_that_the_variance_is_dragged_across_the_eigenvalues(qtbot, page):
    page.model.show("exact")
    view = page.exact
    qtbot.waitUntil(lambda: "active" in view.facts.text())
    view.slider.setValue(100)
    qtbot.waitUntil(lambda: "k = 2: 0 active" in view.facts.text())
    view.slider.setValue(-300)
    qtbot.waitUntil(lambda: "k = 2: 2 active" in view.facts.text())
    assert not view.turn.isVisible()


def test_that_the_switches_lead_to_a_diffusion_model(qtbot, page):
    page.model.choose_kind("hvae")
    page.model.show("bridge")
    bridge = page.bridge
    click(qtbot, bridge.switches[1])
    assert [switch.isChecked() for switch in bridge.switches] == [True, True, False]
    click(qtbot, bridge.switches[2])
    assert "This is a diffusion model" in bridge.hint.text()
    assert "ending at N(0, I)" in bridge.diagram.describe()
    train(qtbot, page)
    click(qtbot, bridge.measure)
    qtbot.waitUntil(lambda: bridge.table.rowCount() == 1 and "scatter" in bridge.facts.text())
    click(qtbot, bridge.switches[0])
    assert not any(switch.isChecked() for switch in bridge.switches)


def test_that_the_tour_trains(qtbot, page, monkeypatch):
    begun = []
    monkeypatch.setattr(page.model.training, "begin", lambda place, config: begun.append(config))
    page.tour.go(3)
    assert page.findChild(TourView)._title.text() == CARDS[3].title
    page.tour.take(CARDS[3].actions[0])
    assert page.views.currentWidget() is page.code
    assert begun[0].code.size == 2


def test_that_what_was_chosen_is_there_at_the_next_start(qtbot, app, page, open_app):
    page.model.choose_kind("hvae")
    page.model.edit("hierarchy.levels", 3)
    page.model.settle()
    app.close()
    again = open_app().studio.code_page
    assert again.model.config.hierarchy.levels == 3
    assert again.panel.kinds.value == "hvae"


def test_that_the_runs_page_leads_here(qtbot, app, page):
    train(qtbot, page)
    app.studio.show_page("runs")
    runs = app.studio.runs_page
    qtbot.waitUntil(lambda: runs.foot.sample.text() == "Look into its code")
    assert not runs.foot.show_curves.isEnabled()
    click(qtbot, runs.foot.sample)
    assert app.shell.current_page is page
    qtbot.waitUntil(lambda: page.model.record.newest is not None and not page.model.training.busy)
    assert page.model.record.newest.step == 40
    assert set(page.learn.terms._lines) == {page.learn.terms._y_title} == {"loss"}
    steps, losses = page.model.record.losses()
    kept = MetricsReader(page.model.state.run / "metrics.sqlite").losses()
    assert (steps.tolist(), losses.tolist()) == (kept.steps.tolist(), kept.losses.tolist())
    assert page.learn.pairs.count == 48
    page.model.choose_kind("ae")
    train(qtbot, page)
    assert set(page.learn.terms._lines) == {"reconstruction"}


def test_that_a_bound_of_two_values_is_named_as_such():
    report = CodeReport(8, 4, 64, 0.1, 0.5, 0.01, 0.4, 0.1, (1.0,), 0.45, True)
    assert "pixels black or white" in words(MeasuredState(report=report))
    assert "black" not in words(MeasuredState(report=replace(report, binary=False)))


def test_that_stages_have_the_names_of_their_images_where_these_differ():
    one = Stage("VAE", "a", "digits, 8 px", 1.0, 0.5, 0.5, 0.1)
    assert titles((one, replace(one, title="AE"))) == ["VAE", "AE"]
    assert titles((one, replace(one, data="b", source="zoo, 8 px"))) == [
        "VAE · digits, 8 px", "VAE · zoo, 8 px",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("count", "columns", "seen"),
    [(1, 1, 1), (3, 3, 3), (8, 8, 8), (9, 8, 8), (11, 5, 10), (12, 6, 12), (15, 5, 15), (24, 8, 24)],
)
def test_that_what_comes_back_of_few_images_is_seen(count, columns, seen):
    assert columns_of(count) == columns
    originals = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    rows = interleaved(originals, originals + 100, columns).reshape(-1, 2, columns)
    assert rows[:, 0].ravel().tolist() == list(range(seen))
    assert rows[:, 1].ravel().tolist() == list(range(100, 100 + seen))


def test_that_numbers_in_sentences_are_written_as_by_hand():
    scatter = Scatter((-284.55, 11.58), (-284.52, 10.87), (-284.26, 4.18))
    assert "−284.55, scatter 11.58" in scatter_words(MeasuredState(scatter=scatter))
    assert power_text(5660.4) == "5660"


def test_that_what_was_learned_and_measured_fits_into_a_small_window(qtbot, app, page):
    page.model.choose_kind("hvae")
    page.model.edit("hierarchy.levels", 2)
    page.model.settle()
    train(qtbot, page)
    page.model.measure()
    qtbot.waitUntil(lambda: "scatter" in page.bridge.facts.text())
    page.model.show("code")
    page.code.show_map(True)
    qtbot.waitUntil(lambda: page.code.way.count == 9 and page.code.plane._map is not None)
    for size in SMALL_WINDOWS:
        app.shell.resize(*size)
        for view in ("learn", "code", "exact", "bridge"):
            page.model.show(view)
            assert not (found := faults(app.shell)), f"{size}, {view}: {found}"
        assert not page.bridge.hint.geometry().intersects(page.bridge.diagram.geometry())

"""How few calls are as good as fifty, on the Sample page: measured, shown, taken, and taken back."""

from __future__ import annotations

import pytest

from diffusion_studio.engine.evaluation.few_calls import Fare, FewCalls
from diffusion_studio.pages.sample.calls_panel import BEING_MEASURED, NOT_MEASURED
from diffusion_studio.pages.sample.side import CALLS
from diffusion_studio.viewmodels.sample import side_models
from diffusion_studio.viewmodels.sample.side_models import CallsState
from support.window import settle

FOUND = FewCalls(250, Fare("DDIM", 50, 0.5), 0.01, (Fare("DDIM", 8, 0.9), Fare("DPM++ (2M)", 8, 0.505)))


@pytest.fixture
def page(qtbot, open_app):
    app = open_app()
    app.studio.sampling.tree.edit("steps", 12)
    app.studio.sampling.tree.settle()
    app.studio.show_page("sample")
    settle(qtbot, app)
    page = app.studio.sample_page
    page.side.show_tab(CALLS)
    return page


def test_that_calls_are_measured_when_the_button_is_pressed(qtbot, page, monkeypatch):
    monkeypatch.setattr(side_models, "CALLS_SAMPLES", 64)
    calls, model = page.side.calls, page.model.beside.calls
    assert not calls.take.isVisible()
    calls.foot.button.click()
    assert calls.foot.halt.isVisible()
    qtbot.waitUntil(lambda: not model.state.measuring)
    found = model.state.found
    assert found.count == 64 and found.best is not None
    assert f"in {found.best.steps} calls" in calls.words.text()
    page.side.show_tab("curves")
    page.side.show_tab(CALLS)
    assert model.state.found == found


def test_that_the_best_is_taken_and_one_undo_takes_it_back(qtbot, page):
    before = page.model.tree.parameters
    page.side.calls.show_state(CallsState(FOUND))
    page.side.calls.take.click()
    spec = page.model.state.spec
    assert (spec.sampler.kind, spec.spacing.kind, spec.steps) == ("dpm2m", "trailing", 8)
    assert spec.label == before.tree.spec.label and spec.count == before.tree.spec.count
    page.model.tree.undo()
    assert page.model.tree.parameters == before


def test_that_what_is_being_measured_cannot_be_taken_yet(page):
    calls = page.side.calls
    calls.show_state(CallsState(FOUND, measuring=True, share=0.5))
    assert not calls.take.isVisible() and calls.foot.halt.isVisible() and not calls.words.text()
    assert calls.plot._empty_text == BEING_MEASURED
    calls.show_state(CallsState(FOUND, complete=True))
    assert calls.take.isVisible() and "8 calls: DPM++ (2M)." in calls.words.text()
    none = FewCalls(250, FOUND.reference, 0.01, FOUND.fares[:1])
    calls.show_state(CallsState(none))
    assert calls.words.text() == "Stopped before any rule was as good."
    calls.show_state(CallsState(none, complete=True))
    assert calls.words.text().startswith("Nothing measured with fewer calls is as good")
    assert calls.plot._empty_text == NOT_MEASURED
    calls.show_state(CallsState(message="It cannot be."))
    assert not calls.take.isVisible() and calls.words.text() == "It cannot be."

"""Guidance on the Sample page: views, both estimates side by side, γ_t by hand, the strip and the sweep."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt

from diffusion_studio.pages.sample.guidance_panel import BEING_MEASURED, NOT_MEASURED, GuidancePanel
from diffusion_studio.pages.sample.pictures import ONE, TWO
from diffusion_studio.pages.sample.side import BY_HAND, CURVES, GUIDANCE, TRADE
from diffusion_studio.viewmodels.sample import guidance_trade
from diffusion_studio.widgets.frame.scrolling import FillColumn
from support.window import settle


@pytest.fixture
def app(open_app):
    app = open_app()
    app.studio.sampling.tree.edit("steps", 12)
    app.studio.sampling.tree.settle()
    return app


@pytest.fixture
def page(qtbot, app):
    app.studio.show_page("sample")
    settle(qtbot, app)
    return app.studio.sample_page


@pytest.fixture
def change(qtbot, app, page):
    """Edits parameters and waits for the chain."""

    def change(**values) -> None:
        for path, value in values.items():
            page.model.tree.edit(path.replace("__", "."), value)
        page.model.tree.settle()
        settle(qtbot, app)

    return change


def test_that_the_field_of_gamma_tells_the_other_convention_too(page, change):
    change(guidance=3.5)
    assert "w = γ − 1 = 2.5" in page.panel.form.field("guidance")._sentence.text()
    change(guidance=0.0)
    assert "w = γ − 1 = −1 for" in page.panel.form.field("guidance")._sentence.text()
    tooltip = page.panel.form.field("guidance").tooltip_html()
    assert "w is γ − 1" in tooltip and "guidance scale is γ" in tooltip


def test_that_classes_are_offered_by_name(page, change):
    names = [text for _, text in page.panel.form.field("guide.negative").knob.options]
    assert names[0].startswith("no class") and names[1:] == list(page.model.state.chains.facts.class_names)
    change(guide__negative=3)
    assert page.model.chains.record.chain.spec.guide.negative == 3
    assert page.panel.form.field("guide.negative").value == 3


def test_that_g_shows_what_guidance_adds(qtbot, app, page, change):
    change(guidance=4.0)
    page.model.player.seek(4)
    qtbot.keyClick(page, Qt.Key.Key_G)
    settle(qtbot, app)
    record = page.model.chains.record
    assert page.model.state.pictures.view == "guidance"
    x, t, ask = record.exact(4).x, record.times[4], record.chain.source.denoiser
    expected = ask(x, t, record.chain.labels()).eps_hat - ask(x, t).eps_hat
    np.testing.assert_allclose(record.values("guidance", 4), expected, rtol=1e-3, atol=1e-3)


def test_that_both_estimates_stand_side_by_side(qtbot, app, page, change):
    change(guidance=4.0)
    page.model.player.seek(6)
    page.model.pictures.set_layout("guided")
    settle(qtbot, app)
    assert page.pictures.currentIndex() == TWO
    assert [name.text() for name in page.pictures.names][1] == "without, γ = 0"
    sizes = [float(text) for text in page.pictures.difference.captions]
    record = page.model.chains.record
    apart = np.sqrt(((record.x0_hat(6) - record.values("unguided", 6)) ** 2).reshape(16, -1).mean(1))
    np.testing.assert_allclose(sizes, apart, atol=6e-4)
    change(guidance=1.0)
    assert page.pictures.second.count == page.pictures.difference.count == 0  # not computed, so not shown
    assert "not computed" in page.pictures.second.accessibleDescription() + page.pictures.second._empty_text
    assert page.pictures.apart.text() == ""
    page.model.pictures.set_layout("grid")
    settle(qtbot, app)
    assert page.pictures.currentIndex() == ONE


def test_that_the_size_of_guidance_is_drawn_over_the_chain(page, change):
    page.side.show_tab(CURVES)
    change(guidance=1.0)
    assert GUIDANCE not in page.side.eps_plot._curves
    change(guidance=3.0)
    drawn = np.asarray(page.side.eps_plot._curves[GUIDANCE].values)
    np.testing.assert_allclose(drawn[:-1], page.model.chains.record.guidance_norm.mean(1))


def test_that_the_equation_says_what_guidance_makes_of_the_noise(page, change):
    change(guidance=3.0)
    page.model.player.seek(3)
    assert "gamma_t" in "".join(term.latex for term in page.equation._formula)
    assert any("3.000" in term.text for term in page.equation._numbers)
    assert "nabla" not in "".join(term.latex for term in page.equation._formula)
    change(guide__kind="classifier")
    page.model.player.seek(3)
    assert "nabla" in "".join(term.latex for term in page.equation._formula)
    change(guide__kind="free", guidance=1.0)
    page.model.player.seek(3)
    assert "gamma_t" not in "".join(term.latex for term in page.equation._formula)


def test_that_gamma_over_the_chain_is_drawn_by_hand(qtbot, app, page, change):
    page.side.show_tab(BY_HAND)
    change(guidance=4.0, curve__kind="drawn")
    editor = page.side.by_hand.gamma_editor
    assert editor._points == ((0.0, 4.0), (1000.0, 4.0))
    editor.points_edited.emit([(0.0, 0.0), (500.0, 4.0), (1000.0, 8.0)])
    assert page.model.tree.parameters.spec.curve.points == ((0.0, 0.0), (0.5, 1.0), (1.0, 2.0))
    settle(qtbot, app)
    chain = page.model.chains.record.chain
    gammas = [chain.spec.gamma(t, 1000) for t in chain.times[:-1]]
    np.testing.assert_allclose(gammas, [8 * t / 1000 for t in chain.times[:-1]])


def test_that_the_strip_and_the_sweep_come_when_they_are_looked_at(qtbot, app, page, change, monkeypatch):
    monkeypatch.setattr(guidance_trade, "SAMPLES", 20)
    monkeypatch.setattr(guidance_trade, "GAMMAS", (0.0, 2.0))
    change(guidance=2.0, steps=4)
    assert page.model.beside.trade.state.strip is None
    page.side.show_tab(TRADE)
    qtbot.waitUntil(lambda: page.model.beside.trade.state.strip is not None)
    strip = page.model.beside.trade.state.strip
    assert page.side.trade.strip.count == len(strip.images) == len(strip.gammas) * 10
    app.shell.resize(960, 640)
    qtbot.waitUntil(
        lambda: page.side.trade.strip.tile_rect(0).width() >= 16
    )  # its pictures are 8 pixels wide
    page.side.trade.foot.button.click()
    assert page.model.beside.trade.state.measuring
    qtbot.waitUntil(lambda: not page.model.beside.trade.state.measuring)
    assert [trade.gamma for trade in page.model.beside.trade.state.trades] == [0.0, 2.0]
    qtbot.waitUntil(lambda: page.side.trade.plot._here.x is not None)  # a plot draws when its turn comes
    page.side.trade.strip.selected.emit(2)  # the first column of the second row
    settle(qtbot, app)
    assert page.model.tree.parameters.spec.guidance == 0.0
    assert page.model.beside.trade.state.strip is strip  # γ plays no part in it


def test_that_a_sweep_can_be_stopped(qtbot, app, page, change):
    change(steps=50)
    page.side.show_tab(TRADE)
    qtbot.waitUntil(lambda: page.model.beside.trade.state.strip is not None)
    page.side.trade.foot.button.click()
    assert page.side.trade.plot._empty_text == BEING_MEASURED
    page.side.trade.foot.halt.click()
    qtbot.waitUntil(lambda: not page.model.beside.trade.state.measuring)
    assert page.side.trade.plot._empty_text == NOT_MEASURED
    assert len(page.model.beside.trade.state.trades) < len(guidance_trade.GAMMAS)


def test_that_an_exact_classifier_guides_the_memorising_denoiser(page, change):
    change(guide__kind="classifier", guidance=2.0)
    assert page.model.chains.record.is_guided and not page.model.state.tree.errors
    change(guide__form="mean")
    assert page.model.state.tree.errors  # DDIM at η = 0 adds no noise to act through
    assert "adds noise" in dict(page.model.state.tree.errors)["guide.form"]


def test_that_no_earlier_self_gets_its_sentence(page, change):
    change(guide__kind="auto")
    assert "no checkpoint" in " ".join(dict(page.model.state.tree.errors).values())


def test_that_the_lines_of_the_algorithm_that_run_are_marked(qtbot, app, page, change):
    box = page.algorithm
    assert box._source.text() == "Stratos §3.3"
    assert box.minimumSizeHint().width() <= 248  # of a panel of 280 with its margins
    page.model.player.seek(0)
    assert box.marked == (0, 2, 3)  # x_T is sampled, and the first step taken
    page.model.player.seek(3)
    assert box.marked == (2, 3)
    page.model.player.go_to_end()
    assert box.marked == (5,)
    page.model.tree.edit("sampler.kind", "ddpm")
    page.model.tree.settle()
    settle(qtbot, app)
    assert box._source.text() == "Course algorithm 3"
    assert box.minimumSizeHint().width() <= 248
    page.model.player.seek(2)
    assert box.marked == (3, 4, 5)


@pytest.mark.parametrize("size", [(236, 300), (452, 385), (452, 500), (700, 800)])
def test_that_the_plot_covers_nothing_of_the_strip(qtbot, size):
    panel = GuidancePanel()
    column = FillColumn(panel)
    qtbot.addWidget(column)
    panel.foot.show_progress(False, 0.0, "the judge is right about 99.4 % of real images")
    column.resize(*size)
    column.show()
    card = panel.plot.parentWidget()
    qtbot.waitUntil(lambda: card.y() - panel.strip.geometry().bottom() > 8)

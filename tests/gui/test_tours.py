"""The way to the tours: a hint at the first start, the Help menu and the palette."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtWidgets import QPushButton

from diffusion_studio.pages.sample.side import TABS
from diffusion_studio.pages.settings import SettingsDialog
from diffusion_studio.pages.tour_view import TourView
from diffusion_studio.viewmodels.theory.exact_bound import EXACT
from diffusion_studio.viewmodels.tours.tour import Tour, TourCard
from diffusion_studio.widgets.actions.table import TOURED


@pytest.fixture
def app(open_app: Any) -> Any:
    return open_app()


def test_that_the_hint_of_the_first_start_leads_to_the_tour_of_the_page_and_comes_once(
    app: Any, open_app: Any
) -> None:
    studio, hint = app.studio, app.studio.commands.hint
    studio.show_page("plane")
    assert hint.isVisible()
    studio.plane_page.tour.end()
    hint.words.click()
    assert studio.plane_page.tour.state.open
    assert not hint.isVisible()
    app.shutdown()
    again = open_app().studio
    assert not again.commands.hint.isVisible()
    again.settings.show_hint_again()
    assert again.commands.hint.isVisible()


def test_that_the_hint_is_put_away_and_asked_for_again_in_the_settings(app: Any) -> None:
    hint = app.studio.commands.hint
    hint.close_button.click()
    assert not hint.isVisible()
    app.studio.commands.show_settings()
    (dialog,) = app.shell.findChildren(SettingsDialog)
    dialog.hint.click()
    assert hint.isVisible()
    dialog.close()


def test_that_help_has_the_tour_of_every_page_that_has_one(app: Any) -> None:
    studio = app.studio
    assert [key for key, page in studio.pages.items() if page.tour is not None] == list(TOURED)
    for key in TOURED:
        page = studio.pages[key]
        page.tour.end()
        app.shell.actions_of_window[f"tour-{key}"].trigger()
        (view,) = page.findChildren(TourView)
        assert app.shell.current_page is page
        assert view.isVisible() and view.accessibleName() == page.tour.cards[0].title


def test_that_a_card_is_found_by_its_name(app: Any) -> None:
    commands, page = app.studio.commands, app.studio.plane_page
    commands.find()
    commands.palette.line.setText("what η does")
    commands.palette.line.textEdited.emit("what η does")
    assert commands.palette.titles[0] == "What η does"
    commands.take_tour("plane", 6)
    commands.palette.leave()
    assert page.tour.cards[page.tour.state.number].title == "What η does"


def test_that_the_tour_of_sample_shows_its_chains_and_leaves_the_page_as_it_was(qtbot: Any, app: Any) -> None:
    studio = app.studio
    page, model = studio.sample_page, studio.sampling
    studio.show_page("sample")
    model.tree.edit("seed", 5)
    model.tree.settle()
    model.pictures.set_view("eps_hat")
    model.player.go_to_start()
    before, place = model.tree.parameters, model.state.player.place
    for number, card in enumerate(page.tour.cards):
        page.tour.begin(number)
        assert {scene.tab for scene in card.actions} <= {key for key, *_ in TABS}
    (scene, *_) = page.tour.cards[2].actions
    page.tour.take(scene)
    qtbot.waitUntil(lambda: not model.state.chains.busy)
    assert model.state.pictures.view == scene.view
    assert page.side.tab == scene.tab
    assert model.state.player.place == scene.place
    page.tour.end()
    assert (model.tree.parameters, model.state.pictures.view, page.side.tab) == (before, "eps_hat", "curves")
    qtbot.waitUntil(lambda: not model.state.chains.busy)
    assert model.state.player.place == place
    model.tree.undo()
    assert model.tree.value == scene.tree  # the way back is a step that can be taken back


def test_that_the_tour_of_theory_measures_the_exact_denoiser_and_leaves_the_page_as_it_was(
    qtbot: Any, app: Any
) -> None:
    studio = app.studio
    page, model = studio.theory_page, studio.theory
    studio.show_page("theory")
    page.show_part("weights")
    model.edit("steps", 500)
    model.settle()
    page.tour.begin(2)
    twenty, hundred = page.tour.cards[2].actions
    page.tour.take(hundred)
    page.tour.take(twenty)  # what is measured makes way
    qtbot.waitUntil(lambda: model.state.evaluation is not None)
    assert (page.part, page.bound.runs.currentData()) == ("elbo", EXACT)
    assert len(model.state.evaluation["elbo"]["terms"]) == 20
    page.tour.end()
    assert (page.part, model.state.spec.steps) == ("weights", 500)
    assert model.state.evaluation is None
    model.undo()
    assert model.state.spec.steps == 20
    assert model.state.evaluation is not None  # it is known what it was


@pytest.mark.parametrize("title", ["Following the score", "DDPM against DDIM", "The map of codes", "η"])
@pytest.mark.parametrize("width", [220, 260, 400])
def test_that_the_ways_from_a_card_stay_together_however_narrow_it_is(
    qtbot: Any, width: int, title: str
) -> None:
    view = TourView(Tour([TourCard(title, "Look.", "Luo", ())], SimpleNamespace()))
    qtbot.addWidget(view)
    view.tour.go(0)
    view.setFixedWidth(width)
    view.show()
    qtbot.waitExposed(view)
    ways = [view._place, view.before, view.after, view.leave]
    middles = {way.mapTo(view, way.rect().center()).y() for way in ways}
    assert max(middles) - min(middles) <= 1
    assert view.leave.mapTo(view, view.leave.rect().topRight()).x() < width
    assert view._title.height() < 3 * view._title.fontMetrics().lineSpacing()


def test_that_what_a_card_offers_goes_on_in_the_next_line_and_widens_nothing(qtbot: Any) -> None:
    actions = tuple(SimpleNamespace(title=title) for title in ("Learn at one level", "A chain by all levels"))
    view = TourView(Tour([TourCard("Look", "Look.", "Luo", actions)], SimpleNamespace()))
    qtbot.addWidget(view)
    view.tour.go(0)
    view.show()
    links = [b for b in view.findChildren(QPushButton) if b.text() in {a.title for a in actions}]
    both = sum(link.sizeHint().width() for link in links)
    assert view.minimumSizeHint().width() < both
    view.setFixedWidth(both)
    qtbot.waitUntil(lambda: links[0].y() < links[1].y())
    view.setFixedWidth(both + 80)
    qtbot.waitUntil(lambda: links[0].y() == links[1].y())

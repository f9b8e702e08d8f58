"""How a tour is walked through, and that a page is afterwards what it was."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from diffusion_studio.viewmodels.tours.tour import Tour, TourCard, TourState


@dataclass(frozen=True)
class Try:
    title: str
    value: int


class Page:
    """One number."""

    value = 7

    def apply(self, action):
        self.value = action.value

    def kept(self):
        return self.value

    def put_back(self, kept):
        self.value = kept


CARDS = [TourCard(title, "Look.", "Luo", (Try("one", 1), Try("two", 2))) for title in ("A", "B", "C")]


@pytest.fixture
def page():
    return Page()


@pytest.fixture
def tour(qapp, page):
    return Tour(CARDS, page)


def test_that_cards_follow_each_other_round(tour):
    for number in (1, 2, 0, 1):
        tour.go(tour.state.number + 1)
        assert tour.state == TourState(number, open=True)
    tour.go(-1)
    assert tour.state.number == 2


def test_that_the_end_puts_the_page_back_as_it_was_before_the_first_try(tour, page):
    tour.begin(1)
    for action in CARDS[1].actions:
        tour.take(action)
    assert page.value == 2
    tour.end()
    assert page.value == 7
    assert tour.state == TourState(1)


def test_that_a_tour_of_which_nothing_was_tried_leaves_the_page_alone(tour, page):
    tour.begin()
    page.value = 8
    tour.end()
    assert page.value == 8


def test_that_a_second_tour_puts_back_what_stood_before_it(tour, page):
    tour.take(CARDS[0].actions[0])
    tour.end()
    page.value = 9
    tour.take(CARDS[0].actions[1])
    tour.end()
    assert page.value == 9


def test_that_the_card_is_remembered_and_what_was_tried_is_not(qapp, tour, page):
    tour.begin(2)
    tour.take(CARDS[2].actions[0])
    again = Tour(CARDS, page)
    again.restore(tour.to_remember())
    assert again.state == TourState(2, open=True)


@pytest.mark.parametrize("odd", [None, [], {"number": "2"}, {"number": True, "open": True}, {"open": True}])
def test_that_what_makes_no_sense_is_not_remembered(tour, odd):
    tour.restore(odd)
    assert tour.state == TourState()


def test_that_a_number_of_a_longer_tour_is_one_of_this(tour):
    tour.restore({"number": 10, "open": 1})
    assert tour.state == TourState(1)

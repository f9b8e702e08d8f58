"""Undo and redo against a plain list of all values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from diffusion_studio.viewmodels.history import History

MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.integers(0, 3)),
        st.tuples(st.sampled_from(["settle", "undo", "redo"]), st.none()),
    ),
    max_size=40,
)


class Model:
    """All settled values in one list, where one stands in it, and a value that is being dragged."""

    def __init__(self, value: int) -> None:
        self.steps, self.at, self.value = [value], 0, value

    def change(self, value: int) -> None:
        self.value = value

    def settle(self) -> None:
        if self.value != self.steps[self.at]:
            self.steps = [*self.steps[: self.at + 1], self.value]
            self.at += 1

    def undo(self) -> None:
        self.settle()
        self.at = max(self.at - 1, 0)
        self.value = self.steps[self.at]

    def redo(self) -> None:
        if self.can_redo:
            self.at += 1
            self.value = self.steps[self.at]

    @property
    def can_undo(self) -> bool:
        return self.at > 0 or self.value != self.steps[self.at]

    @property
    def can_redo(self) -> bool:
        return self.at + 1 < len(self.steps) and self.value == self.steps[self.at]


def played(moves) -> tuple[History[int], Model]:
    history, model = History(0), Model(0)
    for name, value in moves:
        for thing in (history, model):
            getattr(thing, name)(*([] if value is None else [value]))
        assert history.value == model.value
        assert (history.can_undo, history.can_redo) == (model.can_undo, model.can_redo)
    return history, model


@given(MOVES)
def test_that_it_equals_a_list_of_all_values(moves):
    played(moves)


@given(MOVES)
def test_that_undoing_all_is_the_start_and_redoing_all_the_end(moves):
    history, model = played(moves)
    history.settle()
    model.settle()
    while history.can_undo:
        history.undo()
    assert history.value == 0
    while history.can_redo:
        history.redo()
    assert history.value == model.steps[-1]


@given(st.lists(st.integers(1, 9), min_size=1))
def test_that_one_drag_is_one_step(values):
    history = History(0)
    for value in values:
        history.change(value)
    assert history.settle()
    history.undo()
    assert history.value == 0
    assert not history.can_undo
    history.redo()
    assert history.value == values[-1]
    assert not history.can_redo


def test_that_a_drag_back_to_where_it_began_is_no_step():
    history = History(0)
    history.change(5)
    history.change(0)
    assert not history.settle()
    assert not history.can_undo


def test_that_undo_in_the_middle_of_a_drag_takes_all_of_it_back():
    history = History(0)
    history.change(1)
    history.change(2)
    history.undo()
    assert history.value == 0
    history.redo()
    assert history.value == 2


def test_that_a_new_value_after_undo_forgets_the_future():
    history = History(0)
    for value in (1, 2):
        history.change(value)
        history.settle()
    history.undo()
    history.change(7)
    history.settle()
    assert not history.can_redo
    history.undo()
    assert history.value == 1


def test_that_a_wrong_value_is_forgotten():
    history = History(0)
    for value in (1, 2, 13, 14):
        history.change(value)
        history.settle()
    history.withdraw(lambda value: value > 10, otherwise=99)
    assert history.value == 2
    assert not history.can_redo
    history.undo()
    assert history.value == 1
    history.redo()
    assert history.value == 2


def test_that_a_wrong_value_that_is_being_dragged_gives_way_to_the_one_before():
    history = History(0)
    history.change(1)
    history.settle()
    history.change(13)
    history.withdraw(lambda value: value > 10, otherwise=99)
    assert history.value == 1
    history.undo()
    assert history.value == 0
    history.redo()
    assert history.value == 1


def test_that_another_value_takes_the_place_where_all_were_wrong():
    history = History(11)
    history.withdraw(lambda value: value > 10, otherwise=5)
    assert history.value == 5
    assert not history.can_undo


def test_that_undo_leads_past_a_value_that_turned_out_wrong():
    history = History(0)
    for value in (13, 1):
        history.change(value)
        history.settle()
    history.undo()
    history.withdraw(lambda value: value > 10, otherwise=99)
    assert history.value == 0
    history.redo()
    assert history.value == 1

"""Where one stands in a chain, and how it is played: over states that are no more than numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from diffusion_studio.viewmodels.sample.player import Player, Road

TIMES = tuple(range(1000, -1, -100))


class Walk:
    """A player, the road before it, and all that it told."""

    def __init__(self) -> None:
        self.road = Road(TIMES, 1000, len(TIMES))
        self.told: list[int] = []
        self.player = Player(lambda: self.road, lambda: self.told.append(self.player.state.position))

    def ticks(self, number: int) -> list[int]:
        """Where it stands after each tick of its playing."""
        self.player._timer.stop()  # by hand from here on
        stood = []
        for _ in range(number):
            if self.player.state.playing:
                self.player._tick()
            stood.append(self.player.state.position)
        return stood


@pytest.fixture
def walk(qapp):
    walk = Walk()
    yield walk
    walk.player.stop()


@pytest.fixture
def player(walk):
    return walk.player


# --- standing ---------------------------------------------------------------------------------------------


def test_that_one_moves_to_every_state_and_no_further(player):
    for asked, stood in ((0, 0), (7, 7), (-3, 0), (10, 10), (99, 10)):
        player.seek(asked)
        assert player.state.position == stood
        assert player.state.place == TIMES[stood] / 1000
    player.step(-1)
    assert player.state.position == 9
    player.step(10)
    assert player.state.position == 10
    player.step(-100)
    assert player.state.position == 0
    player.go_to_end()
    assert player.state.position == 10
    player.go_to_start()
    assert player.state.position == 0


def test_that_the_place_is_kept_in_another_chain(walk, player):
    player.seek(4)  # t = 600
    walk.road = Road((1000, 900, 620, 580, 0), 1000, 0)
    player.enter()
    assert player.state.position == 2
    walk.road = Road((50, 31, 10, 0), 50, 0)
    player.enter()
    assert (player.state.position, player.state.place) == (1, 0.6)


@pytest.mark.parametrize(("place", "stands"), [(0.3, 7), (-2.0, 10), (1e300, 0), (math.nan, 10)])
def test_that_one_stands_where_the_next_chain_allows_it(player, place, stands):
    player.stand_at(place)
    player.enter()
    assert player.state.position == stands
    assert 0 <= player.state.place <= 1


def test_that_nothing_moves_before_there_is_a_chain(walk, player):
    walk.road = Road()
    player.seek(3)
    player.step(1)
    player.play()
    player.toggle()
    assert player.state.position == 0
    assert not player.state.playing
    assert walk.told == []


def test_that_only_what_differs_is_told(walk, player):
    player.seek(3)
    player.seek(3)
    player.set_loop(False)
    player.stop()
    assert walk.told == [3]


# --- playing ----------------------------------------------------------------------------------------------


def test_that_it_plays_to_the_image_and_stops(walk, player):
    player.seek(6)
    player.play()
    assert player.state.playing
    stood = walk.ticks(60)
    assert sorted(set(stood)) == list(range(6, 11))
    assert stood == sorted(stood)
    assert not player.state.playing
    assert not player._timer.isActive()


def test_that_it_plays_backwards_to_the_noise(walk, player):
    player.seek(4)
    player.play(-1)
    stood = walk.ticks(60)
    assert sorted(set(stood)) == list(range(5))
    assert stood == sorted(stood, reverse=True)
    assert not player.state.playing


@pytest.mark.parametrize(("factor", "start", "end"), [(1, 10, 0), (-1, 0, 10)])
def test_that_it_begins_at_the_other_end_when_there_is_nothing_left(player, factor, start, end):
    player.seek(start)
    player.play(factor)
    assert player.state.position == end


@pytest.mark.parametrize("factor", [1, -1])
def test_that_a_loop_goes_round(walk, player, factor):
    player.set_loop(True)
    player.play(factor)
    assert set(walk.ticks(120)) == set(range(11))
    assert player.state.playing


def test_that_the_factor_of_a_key_multiplies_the_chosen_speed_and_does_not_change_it(walk, player):
    lengths = {}
    for speed, factor in ((1.0, 1), (2.0, 1), (1.0, 2), (2.0, -2)):
        player.set_speed(speed)
        player.seek(0 if factor > 0 else 10)
        player.play(factor)
        lengths[speed, factor] = walk.ticks(200).index(10 if factor > 0 else 0)
        assert player.state.speed == speed
    assert lengths[2.0, 1] == lengths[1.0, 2] == pytest.approx(lengths[1.0, 1] / 2, abs=1)
    assert lengths[2.0, -2] == pytest.approx(lengths[1.0, 1] / 4, abs=1)


def test_that_changing_the_speed_keeps_the_direction(walk, player):
    player.seek(9)
    player.play(-1)
    player.set_speed(4.0)
    assert walk.ticks(60)[-1] == 0


def test_that_playing_goes_on_from_where_a_person_moved(walk, player):
    player.seek(8)
    player.play()
    walk.ticks(2)
    player.seek(2)
    assert max(walk.ticks(5)) <= 4


def test_that_space_plays_and_pauses(player):
    player.seek(2)
    player.toggle()
    assert player.state.playing
    player.toggle()
    assert not player.state.playing
    assert not player._timer.isActive()


def test_that_a_step_by_hand_ends_the_playing(player):
    player.seek(2)
    player.play()
    player.step(1)
    assert (player.state.playing, player.state.position) == (False, 3)


def test_that_playing_waits_for_the_chain(walk, player):
    walk.road = Road(TIMES, 1000, ready=3, growing=True)
    player.play()
    assert max(walk.ticks(40)) == 3  # the first that is not there
    assert player.state.playing
    walk.road = replace(walk.road, ready=11, growing=False)
    assert walk.ticks(60)[-1] == 10
    assert not player.state.playing


def test_that_playing_ends_with_a_chain_that_was_given_up(walk, player):
    walk.road = Road(TIMES, 1000, ready=5)
    player.play()
    assert walk.ticks(60)[-1] == 4
    assert not player.state.playing

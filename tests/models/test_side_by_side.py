"""A batch in parts is the batch."""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import Future

import pytest
import torch

from diffusion_studio.models import side_by_side as module
from diffusion_studio.models.side_by_side import (
    finer,
    handed_on,
    parts_for,
    side_by_side,
    slices,
    with_helpers,
)
from support.processors import processors

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def three_processors():
    with processors(3):
        yield


@pytest.mark.parametrize(("count", "parts"), [(1, 1), (7, 3), (8, 3), (3, 5), (128, 2)])
def test_that_parts_hold_every_row_once_and_none_is_empty(count, parts):
    found = slices(count, parts)
    assert [row for part in found for row in range(count)[part]] == list(range(count))
    sizes = [part.stop - part.start for part in found]
    assert len(found) == min(count, parts) and min(sizes) > 0 and max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (7, 1), (8, 2), (12, 3), (1000, 3)])
def test_that_a_processor_gets_at_least_four_images(count, expected):
    assert parts_for(count, CPU) == expected
    assert parts_for(count, torch.device("meta")) == 1


def test_that_answers_come_in_the_order_of_the_parts_though_all_are_worked_on_at_once():
    together = threading.Barrier(3)

    def work(part):
        together.wait()  # would not end if one waited for another
        return part.start

    assert side_by_side(work, slices(30, 3), CPU) == [0, 10, 20]


def test_that_a_part_whose_thread_is_taken_is_worked_on_here():
    taken, here = threading.Event(), threading.get_ident()
    kept = [module._threads().submit(taken.wait, 60) for _ in range(2)]
    assert side_by_side(lambda part: threading.get_ident(), slices(30, 3), CPU) == [here] * 3
    taken.set()
    assert all(one.result() for one in kept)


def test_that_nobody_waits_idly_for_a_turn():
    """Of four parts by two threads the last is begun while the third is worked on."""
    first, third, fourth = threading.Event(), threading.Event(), threading.Event()
    waits = {0: third, 1: first, 2: fourth}  # what a part waits for until it is done

    def work(part):
        {0: first, 1: first, 2: third, 3: fourth}[part.start].set()
        assert waits.get(part.start, fourth).wait(60)
        return part.start

    with processors(2):
        assert side_by_side(work, slices(4, 4), CPU) == [0, 1, 2, 3]


def test_that_no_more_parts_are_worked_on_ahead_than_there_are_processors(monkeypatch):
    """A thread that gets no processor holds up the others, but not the memory of their answers."""
    begun, waited_for = threading.Event(), threading.Event()
    done, done_by_then = [], []
    result = Future.result

    def waits(future, timeout=None):
        if not waited_for.is_set():
            done_by_then.extend(done)
        waited_for.set()
        return result(future, timeout)

    def work(part):
        if part.start == 1:
            begun.set()
            assert waited_for.wait(60)
        elif part.start == 0:
            assert begun.wait(60)
        done.append(part.start)
        return part.start

    monkeypatch.setattr(Future, "result", waits)
    with processors(2):
        assert side_by_side(work, slices(9, 9), CPU) == [*range(9)]
    assert done_by_then == [0, 2, 3]


def test_that_every_part_learns_or_infers_as_its_caller_and_computes_alone():
    def modes(part):
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_num_threads()

    assert side_by_side(modes, slices(9, 3), CPU) == [(True, False, 1)] * 3
    with torch.no_grad():
        assert side_by_side(modes, slices(9, 3), CPU) == [(False, False, 1)] * 3
    with torch.inference_mode():
        assert side_by_side(modes, slices(9, 3), CPU) == [(False, True, 1)] * 3


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_that_a_failure_is_raised_when_no_part_computes_any_more(failing):
    busy = set()

    def work(part):
        busy.add(part.start)
        if part.start == 10 * failing:
            busy.discard(part.start)
            raise ValueError("no")
        torch.ones(200, 200).matmul(torch.ones(200, 200))
        busy.discard(part.start)

    with pytest.raises(ValueError, match="no"):
        side_by_side(work, slices(30, 3), CPU)
    assert not busy


def test_that_other_devices_take_one_part_after_the_other():
    here = threading.get_ident()
    found = side_by_side(lambda part: threading.get_ident(), slices(30, 3), torch.device("meta"))
    assert found == [here] * 3


def test_that_of_parts_in_turn_only_one_answer_is_held_at_a_time():
    alive = []

    def work(part):
        answer = torch.zeros(1)
        alive.append(weakref.ref(answer))
        return answer

    answers = handed_on(work, slices(30, 10), torch.device("meta"))
    for number in range(1, 11):
        assert next(answers) is not None
        assert len(alive) == number
        assert all(kept() is None for kept in alive)


@pytest.mark.parametrize(
    ("count", "parts", "expected"), [(32, 1, 6), (32, 6, 12), (32, 30, 32), (32, 32, 0), (99, 40, 64)]
)
def test_that_a_batch_without_room_is_split_until_each_image_is_alone(count, parts, expected):
    assert finer(count, parts, 64, CPU) == expected


def test_that_another_device_works_on_one_part_at_a_time():
    assert finer(32, 1, 64, torch.device("meta")) == 2


@pytest.mark.parametrize(
    ("count", "parts", "expected"),
    [(32, 0, 8), (32, 1, 8), (32, 4, 8), (32, 5, 16), (33, 16, 32), (33, 32, 33), (32, 32, 0), (999, 40, 64)],
)
def test_that_of_several_processes_each_works_on_more_parts(count, parts, expected):
    """Four, each of which works on its parts one after the other."""
    found = finer(count, parts, 64, torch.device("meta"), 4)
    assert found == expected
    assert not found or -(-found // 4) > -(-parts // 4)


def test_that_a_thread_has_its_helpers_back_afterwards():
    before = torch.get_num_threads()
    with pytest.raises(ValueError), with_helpers(1):
        assert torch.get_num_threads() == 1
        raise ValueError
    assert torch.get_num_threads() == before


def test_that_no_thread_is_told_again_how_many_helpers_it_has(monkeypatch):
    """With every number it is told the library forgets what it had prepared."""
    told, say = [], torch.set_num_threads

    def said(count):
        told.append(count)
        say(count)

    monkeypatch.setattr(torch, "set_num_threads", said)
    with with_helpers(1):
        told.clear()
        for _ in range(20):
            with with_helpers(1):
                assert side_by_side(lambda rows: torch.get_num_threads(), slices(6, 3), CPU) == [1, 1, 1]
        assert len(told) <= 2  # each of the two threads that are parts' own learns it once

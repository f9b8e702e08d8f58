"""Trainings one after the other."""

from __future__ import annotations

import pytest

from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.runs.run import Run, list_runs
from diffusion_studio.viewmodels.queue import QUEUE, Queue
from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.train.model import TrainViewModel
from support.tiny import begin, finish, tiny_config


class Standin:
    """A training of which a test says when it ends."""

    def __init__(self, model: TrainViewModel, monkeypatch) -> None:
        self.model, self.begun = model, []
        monkeypatch.setattr(model.training, "begin", lambda place, config: self.begun.append(config.seed))
        monkeypatch.setattr(model.training, "go_on", lambda path, config: self.begun.append(path))

    def end(self, outcome: str = "done") -> None:
        self.model.training.told.emit(events.Finished(outcome, "", ""))


@pytest.fixture
def memory(tmp_path):
    return Memory(tmp_path / "memory.json")


@pytest.fixture
def model(qapp, tmp_path):
    made = TrainViewModel(tmp_path / "runs", tiny_config(), device="cpu")
    yield made
    made.shutdown()


@pytest.fixture
def training(model, monkeypatch):
    return Standin(model, monkeypatch)


@pytest.fixture
def queue(training, memory):
    made = Queue(training.model, memory)
    for seed in (1, 2, 3):
        made.add(tiny_config(seed=seed), f"seed {seed}")
    return made


def titles(queue) -> list[str]:
    return [item.title for item in queue.state.items]


def test_that_one_begins_when_the_one_before_has_ended(qtbot, queue, training):
    assert training.begun == []
    queue.go()
    assert training.begun == [1] and titles(queue) == ["seed 2", "seed 3"]
    training.end()
    qtbot.waitUntil(lambda: training.begun == [1, 2])
    training.end("failed")  # over night, the others need not suffer
    qtbot.waitUntil(lambda: training.begun == [1, 2, 3])
    assert not queue.state.items and not queue.state.going


def test_that_what_a_person_stops_holds_the_queue(qtbot, queue, training):
    queue.go()
    training.end("stopped")
    assert not queue.state.going and titles(queue) == ["seed 2", "seed 3"]
    training.model._update(phase="idle")
    queue.go()
    assert training.begun == [1, 2]


def test_that_it_waits_for_a_training_that_goes_on_already(qtbot, queue, training):
    training.model.start()
    queue.go()
    assert training.begun == [0] and len(queue.state.items) == 3
    training.end()
    qtbot.waitUntil(lambda: training.begun == [0, 1])


def test_that_a_queue_that_is_emptied_while_it_goes_rests(qtbot, queue, training):
    queue.go()
    queue.remove([0, 1])
    assert not queue.state.going
    training.end()
    queue.add(tiny_config(seed=4), "seed 4")
    qtbot.waitUntil(lambda: titles(queue) == ["seed 4"])
    queue._next()
    assert training.begun == [1]


def test_that_a_held_queue_begins_nothing(qtbot, queue, training):
    queue.go()
    queue.hold()
    training.end()
    assert training.begun == [1]


def test_that_trainings_change_places_and_are_taken_out(queue):
    queue.move(2, -1)
    assert titles(queue) == ["seed 1", "seed 3", "seed 2"]
    queue.move(0, -1)
    queue.move(2, +1)
    assert titles(queue) == ["seed 1", "seed 3", "seed 2"]
    queue.remove([0, 2])
    assert titles(queue) == ["seed 3"]
    assert queue.state.in_words() == "1 training waits"
    queue.remove([0])
    queue.put_back()
    assert titles(queue) == ["seed 3"]
    queue.put_back()
    queue.put_back()  # nothing more was taken out
    assert titles(queue) == ["seed 1", "seed 3", "seed 2"]


def test_that_what_waits_is_there_at_the_next_start_and_waits_still(queue, training, memory, tmp_path):
    queue.add_run(tmp_path / "runs" / "a", "a")
    queue.go()
    memory.flush()
    again = Queue(training.model, Memory(tmp_path / "memory.json"))
    assert again.state.items == queue.state.items and len(again.state.items) == 3
    assert not again.state.going


def test_that_a_memory_that_makes_no_sense_is_an_empty_queue(training, memory):
    for odd in (
        3,
        [1, {}, {"title": 1, "run": "x"}, {"title": "x"}, {"title": "x", "config": {"seed": "?"}}],
    ):
        memory.set(QUEUE, odd)
        assert Queue(training.model, memory).state.items == ()


def test_that_a_run_that_is_gone_is_told_and_holds_the_queue(training, memory, tmp_path):
    queue = Queue(training.model, memory)
    queue.add_run(tmp_path / "gone", "gone")
    queue.go()
    assert not queue.state.going and titles(queue) == ["Go on with gone"]
    assert "is not a run" in training.model.state.notice.text


def test_that_real_trainings_follow_each_other(qtbot, model, memory, tmp_path):
    finish(begin(tmp_path / "runs" / "first", tiny_config(steps=1)))
    queue = Queue(model, memory)
    queue.add(tiny_config(steps=1, seed=5))
    queue.add_run(tmp_path / "runs" / "first", "first")
    queue.go()
    qtbot.waitUntil(lambda: not queue.state.items and not model.state.busy)
    assert Run.open(tmp_path / "runs" / "first").step == 2
    assert len(list_runs(tmp_path / "runs")) == 2

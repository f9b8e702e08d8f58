"""What one edit sets off: few signals, no JSON, and nothing that could be lost."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.samplers import DDIM
from diffusion_studio.engine.chains.chain_tree import load_tree
from diffusion_studio.engine.chains.distances import distance_to_end
from diffusion_studio.viewmodels.job import Job, Slot
from diffusion_studio.viewmodels.sample.model import SampleViewModel
from support.sample_page import no_json, states, told


class Spy:
    """Hears every signal of a view-model and of all that is in it, but for jobs and their mail."""

    def __init__(self, model: QObject) -> None:
        self.heard: list[str] = []
        self.watched = [model, *model.findChildren(QObject)]
        for thing in self.watched:
            if not isinstance(thing, Job | Slot):
                self._listen(thing)

    def _listen(self, thing: QObject) -> None:
        own = (cls for cls in type(thing).__mro__ if cls.__module__.startswith("diffusion_studio."))
        for name in {name for cls in own for name, value in vars(cls).items() if isinstance(value, Signal)}:
            told = f"{type(thing).__name__}.{name}"
            getattr(thing, name).connect(lambda *_, told=told: self.heard.append(told))


def edited(model: SampleViewModel, settled: Any) -> None:
    """One edit of η, from the hand on the slider to the complete chain."""
    model.tree.edit("sampler.eta", 0.7)
    model.tree.settle()
    settled(model)
    assert model.chains.record.is_complete
    assert model.chains.record.chain.spec.sampler == DDIM(eta=0.7)


def test_that_one_edit_is_told_three_times_at_most(model, settled):
    spy = Spy(model)
    assert len(spy.watched) > 10
    edited(model, settled)
    assert spy.heard == ["SampleViewModel.changed"] * 3


def test_that_one_edit_among_branches_is_told_no_more_often(branched, settled):
    branched.compare_new()
    branched.pictures.set_layout("strip")
    branched.tree.show(0)
    settled(branched)
    spy = Spy(branched)
    edited(branched, settled)
    assert all(record.is_complete for record in branched.chains.records)
    assert spy.heard == ["SampleViewModel.changed"] * 3


def test_that_one_edit_of_a_long_chain_is_told_no_more_often(qtbot, model, settled, gate):
    spy = Spy(model)
    model.tree.edit("steps", 60)
    for ready in (20, 40):
        gate.open(20)
        qtbot.waitUntil(lambda ready=ready: model.look().chains.ready == ready)
    gate.open(1000)
    settled(model)
    assert spy.heard == ["SampleViewModel.changed"] * 3


def test_that_what_is_told_is_what_there_is_to_see(model, settled):
    frames, curves = told(model, "frame"), told(model, "curves")
    edited(model, settled)
    assert len(frames) <= 3
    assert (frames[-1].images == model.chains.record.picture("x0_hat", 10)).all()
    assert curves[-1].distance[0] == distance_to_end(model.chains.record)[0].mean()
    before = states(model.chains.record)
    model.tree.undo()
    settled(model)
    assert (states(model.chains.record) != before).any()


def test_that_an_edit_of_a_run_puts_nothing_into_words_and_keeps_it_all_the_same(
    model, settled, runs, monkeypatch
):
    model.saved._timer.setInterval(600_000)  # no rest is long enough
    model.choices.choose(str(runs / "mine"))
    settled(model)
    with no_json(monkeypatch):
        edited(model, settled)
    assert model.state.notice is None
    assert load_tree(runs / "mine") is None
    model.shutdown()
    assert load_tree(runs / "mine") == model.tree.value


@pytest.mark.parametrize("begun", [False, True])
def test_that_an_edit_is_kept_though_its_chain_is_not_complete(qtbot, model, settled, runs, gate, begun):
    gate.open(1000)
    model.choices.choose(str(runs / "mine"))
    settled(model)
    while gate._steps.acquire(blocking=False):
        pass
    model.tree.edit("seed", 8)
    if begun:
        qtbot.waitUntil(lambda: model.state.chains.ready == 0)
    gate.open(1000)
    model.shutdown()
    assert load_tree(runs / "mine").spec.seed == 8

"""What is worked out beside the chains begins when it is looked at, and not before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from diffusion_studio.core.describe import with_value
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.viewmodels.sample.beside import CALLS, CLASSIFIER, NEAREST, TRADE, Beside
from diffusion_studio.viewmodels.sample.chains import Chains
from diffusion_studio.viewmodels.sample.state import (
    PlayerState,
    SampleParameters,
    SampleState,
    TreeState,
)
from support.chains import random_source
from support.sample_page import SPEC, begun


class Looks:
    """A `Beside` whose models only note what they are asked for."""

    def __init__(self, chains: Chains, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.beside = Beside(chains)
        self.state = SampleState(TreeState(chains.shown), chains.state)
        for model, act in (
            ("nearest", "look"), ("reconstruction", "look"), ("reconstruction", "stop"),
            ("thumbnails", "read"), ("trade", "look"), ("trade", "measure"), ("classifier", "show"),
            ("calls", "look"), ("calls", "measure"),
        ):  # fmt: skip
            note = self._noting(f"{model}.{act}")
            monkeypatch.setattr(getattr(self.beside, model), act, note)

    def _noting(self, name: str) -> Any:
        return lambda *arguments: self.asked.append((name, *arguments))

    def follow(self, watched: str = "", **parts: Any) -> list[tuple[Any, ...]]:
        """What is asked for when the state is another one."""
        self.state = replace(self.state, **parts)
        self.asked.clear()
        self.beside.follow(self.state, watched)
        return list(self.asked)


@pytest.fixture
def looks(qapp, monkeypatch):
    chains = begun(random_source(3), ChainTree(spec=SPEC), "key")
    return Looks(chains, monkeypatch), chains


def completed(looks: Looks, chains: Chains) -> dict[str, Any]:
    for record in chains.records:
        list(record.compute())
    return {"chains": chains.state}


def test_that_nothing_is_worked_out_while_nobody_looks(looks):
    looks, chains = looks
    assert looks.follow() == []
    assert looks.follow(**completed(looks, chains)) == [("reconstruction.stop",)]
    assert looks.follow(player=PlayerState(position=3)) == []


def test_that_the_nearest_images_follow_the_position_once_the_chain_is_complete(looks):
    looks, chains = looks
    record = chains.record
    looks.follow(NEAREST)
    assert ("nearest.look", "key", record, 0) in looks.follow(NEAREST, **completed(looks, chains))
    assert looks.follow(NEAREST) == []
    found = looks.follow(NEAREST, player=PlayerState(position=3))
    assert found == [("nearest.look", "key", record, 3)]
    asked = SampleParameters("another", ChainTree(spec=SPEC))
    assert looks.follow(NEAREST, tree=TreeState(asked)) == []  # its chain is not on show yet


def test_that_the_trade_is_that_of_the_chain_and_no_matter_of_the_position(looks):
    looks, chains = looks
    looks.follow(**completed(looks, chains))
    assert looks.follow(TRADE) == [("trade.look", chains.record.chain)]
    assert looks.follow(TRADE, player=PlayerState(position=3)) == []
    looks.beside.measure_trade()
    assert looks.asked == [("trade.measure", "key", chains.record.chain)]


def test_that_calls_are_counted_for_the_chain_on_show(looks):
    looks, chains = looks
    looks.follow(**completed(looks, chains))
    assert looks.follow(CALLS) == [("calls.look", chains.record.chain)]
    looks.asked.clear()
    looks.beside.measure_calls()
    assert looks.asked == [("calls.measure", "key", chains.record.chain)]


def test_that_the_classifier_is_that_of_the_denoiser_that_is_asked_for(looks):
    looks, _ = looks
    assert looks.follow(CLASSIFIER) == [("classifier.show", "key")]
    assert looks.follow(CLASSIFIER, player=PlayerState(position=3)) == []
    asked = SampleParameters("another", ChainTree(spec=SPEC))
    assert looks.follow(CLASSIFIER, tree=TreeState(asked)) == [("classifier.show", "another")]


def test_that_files_are_read_once_and_images_that_were_inverted_are_brought_back(qapp, monkeypatch, picture):
    start = {"kind": "inverted", "images": (str(picture),)}
    spec = with_value(with_value(SPEC, "count", 1), "start", start)
    chains = begun(random_source(3), ChainTree(spec=spec), "key")
    looks = Looks(chains, monkeypatch)
    assert looks.follow() == [("thumbnails.read", (str(picture),))]
    assert looks.follow(**completed(looks, chains)) == [("reconstruction.look", chains.record)]
    assert looks.follow() == []


def test_that_before_there_is_a_chain_nothing_is_measured(qapp, monkeypatch):
    chains = begun(random_source(3), ChainTree(spec=SPEC), "key")
    looks = Looks(chains, monkeypatch)
    chains.forget()
    looks.beside.measure_trade()
    assert looks.follow(NEAREST) == looks.follow(TRADE) == []

"""What tests of the Sample page's view-models share."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from diffusion_studio.core.samplers import DDIM
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.records import Tracks
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import Source
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.viewmodels.sample.chains import Chains
from diffusion_studio.viewmodels.sample.model import SampleViewModel
from diffusion_studio.viewmodels.sample.sources import memorising_choice
from diffusion_studio.viewmodels.sample.state import SampleParameters, SampleState
from support.tiny import CPU

DIGITS = memorising_choice("digits").key
SPEC = SampleSpec(steps=10, count=4, sampler=DDIM(eta=0.5))
START = SampleParameters(DIGITS, ChainTree(spec=SPEC))
Make = Callable[..., SampleViewModel]
Settled = Callable[[SampleViewModel], SampleViewModel]


def told(model: SampleViewModel, part: str) -> list[Any]:
    """Every other frame, strip or curves that a model tells of from now on."""
    heard: list[Any] = []
    last = [getattr(model.state.pictures, part)]

    def hear(state: SampleState) -> None:
        value = getattr(state.pictures, part)
        if value is not last[0]:
            last[0] = value
            heard.append(value)

    model.changed.connect(hear)
    return heard


def states(record: Trajectory) -> np.ndarray:
    """Every state of a complete chain. (S+1, n, C, H, W)"""
    return np.stack([record.x_t(k) for k in range(record.steps + 1)])


def begun(source: Source, tree: ChainTree, key: str = DIGITS) -> Chains:
    """Chains on show of which no step is computed; there is no job, so a test computes them itself."""
    chains = Chains(CPU, lambda event: None)
    chains._begin(SampleParameters(key, tree), Tracks().build(source, tree, CPU))
    return chains


@contextmanager
def no_json(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is put into words meanwhile, on any thread: whoever tries fails, and so does the body."""
    tried: list[str] = []
    original = BaseModel.model_dump

    def refuse(*_: Any, **__: Any) -> str:
        tried.append("JSON")
        raise AssertionError("JSON is written")

    def dump(choice: BaseModel, **options: Any) -> Any:
        return refuse() if options.get("mode") == "json" else original(choice, **options)

    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", refuse)
        patch.setattr(json, "dump", refuse)
        patch.setattr(BaseModel, "model_dump_json", refuse)
        patch.setattr(BaseModel, "model_dump", dump)
        yield
    assert not tried


class Gate:
    """Lets chains be computed one step at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._steps = threading.Semaphore(0)
        original = Trajectory.compute

        def compute(trajectory: Trajectory) -> Any:
            steps = original(trajectory)
            while True:
                self._steps.acquire()
                try:
                    event = next(steps)
                except StopIteration:
                    return
                yield event

        monkeypatch.setattr(Trajectory, "compute", compute)

    def open(self, steps: int) -> None:
        self._steps.release(steps)

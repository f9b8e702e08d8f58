"""What a training tells, in the words of the page."""

from __future__ import annotations

import pytest

from diffusion_studio.engine.jobs.events import Preparing
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.training.events import PartsChanged
from diffusion_studio.viewmodels.train.following import Followed
from diffusion_studio.viewmodels.train.seen import ComputedBy
from diffusion_studio.viewmodels.train.state import TrainState
from diffusion_studio.viewmodels.train.told import after


@pytest.mark.parametrize(
    ("done", "total", "said"),
    [
        (3, 20, "Reading Bilder 3 of 20 …"),
        (1200, 0, "Reading Bilder: 1,200 files …"),
        (0, 0, "Reading Bilder …"),
    ],
)
def test_that_what_comes_before_a_training_begins_with_a_capital_and_keeps_its_others(done, total, said):
    """Some languages have capitals inside a sentence."""
    state = after(TrainState(RunConfig(), ""), Preparing("reading Bilder", done, total))
    assert state.detail == said


def test_that_the_head_says_what_computes_elsewhere():
    told = Followed(ComputedBy(3, "CPU · 2 parts × 1 thread"))
    assert after(TrainState(RunConfig(), ""), told).device == "CPU · 2 parts × 1 thread"


def test_that_the_head_follows_what_computes():
    state = TrainState(RunConfig(), "", device="CPU · 2 threads")
    state = after(state, PartsChanged(3, 2, "CPU · 2 parts × 1 thread", "Other programs …"))
    assert state.device == "CPU · 2 parts × 1 thread"

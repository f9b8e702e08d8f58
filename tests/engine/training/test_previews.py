"""How many samples a preview has, and when it comes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from diffusion_studio.engine.files.pictures import read_grid
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop.task import Counters
from diffusion_studio.engine.training import previews
from diffusion_studio.engine.training.forecast import first_shapes
from support.clock import Clock
from support.tiny import begin, tiny_config, write_pictures


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures")


@dataclass
class SlowTraining:
    """A training whose steps and samples take as long as is said, on a clock that it moves itself."""

    previewer: previews.Previewer
    counters: Counters
    clock: Clock
    drawn: list[int]  # samples of each preview
    steps: list[int]  # of each

    def go_on(self, seconds: float, per_sample: float, calls: float = 3.0) -> None:
        """A step trains on 32 pictures, each of which takes as long as so many calls of the network."""
        while self.counters.seconds < seconds:
            self.counters.step += 1
            self.counters.position += 32
            self.counters.seconds += 32 * calls * per_sample / previews.STEPS
            if self.previewer.due(self.counters.step, self.counters.seconds):
                before = self.clock.seconds
                shown = self.previewer.draw(self.counters, Control())
                assert shown is not None
                self.clock.seconds = before + len(shown.images) * per_sample
                self.previewer._rest()
                self.drawn.append(len(shown.images))
                self.steps.append(self.counters.step)


@pytest.fixture
def slow(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlowTraining:
    session = begin(tmp_path / "run", tiny_config(pictures, preview_count=16, preview_share=0.02))
    clock = Clock(monkeypatch, tick=0.0)
    return SlowTraining(previews.Previewer(session), session.counters, clock, [], [])


def test_that_large_pictures_are_seen_three_times_in_a_minute(slow: SlowTraining) -> None:
    """As measured of 64 px: 16 samples take 1.7 s."""
    slow.go_on(60, 1.7 / 16)
    assert len(slow.drawn) >= 3
    assert slow.drawn[0] == previews.FEW
    assert sum(slow.drawn[:-1]) * 1.7 / 16 <= 0.02 * 60  # the newest is paid for by the time after it
    slow.go_on(900, 1.7 / 16)
    assert slow.drawn == sorted(slow.drawn) and slow.drawn[-1] == 16
    assert sum(slow.drawn[:-1]) * 1.7 / 16 <= 0.02 * 900


def test_that_small_pictures_are_seen_all_from_the_first_preview_on(slow: SlowTraining) -> None:
    slow.go_on(60, 0.1 / 16)
    assert set(slow.drawn) == {16}


def test_that_one_comes_with_the_first_shapes_and_is_paid_for_by_those_after_it(slow: SlowTraining) -> None:
    """As beside other programs: samples take longer, compared with steps."""
    shapes = first_shapes(8, 1)
    slow.go_on(1800, 1.0, calls=1.5)
    assert slow.steps[0] < shapes and slow.steps[1] == shapes
    for number, step in enumerate(slow.steps[2:], 2):
        seconds = step * 32 * 1.5 / previews.STEPS
        assert sum(slow.drawn[:number]) <= 0.02 * seconds  # those before have their share


def test_that_a_training_that_is_past_them_has_no_preview_of_first_shapes(slow: SlowTraining) -> None:
    slow.counters.step = first_shapes(8, 1)
    previewer = previews.Previewer(slow.previewer._session)
    assert not previewer.due(slow.counters.step, 0.0)


def test_that_a_preview_of_few_is_followed_by_one_of_all_at_the_end_and_keeps_its_noise(
    pictures: Path, tmp_path: Path
) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures, preview_count=9))
    previewer, control = previews.Previewer(session), Control()
    session.counters.step, session.counters.position, session.counters.seconds = 1, 16, 1e3
    few = previewer.draw(session.counters, control)
    assert few is not None and len(few.images) == previews.FEW
    assert previewer.wanted(session.counters.step, control)
    whole = previewer.draw_all(session.counters, control)
    assert whole is not None and len(whole.images) == 9
    assert np.abs(few.images.astype(int) - whole.images[: previews.FEW]).max() <= 1
    assert not previewer.wanted(session.counters.step, control)
    assert whole.path is not None and len(read_grid(whole.path, 8, 8)) == 9

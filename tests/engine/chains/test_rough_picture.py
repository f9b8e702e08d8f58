"""A first picture of a chain, from a few of its steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from diffusion_studio.core.denoisers.denoiser import FunctionDenoiser
from diffusion_studio.core.describe import members
from diffusion_studio.core.process.spacing import ExplicitSpacing
from diffusion_studio.core.samplers import DDIM, Sampler
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.records import ROUGH_CALLS, few_times, place_of, rough_picture, to_picture
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.trajectory import Trajectory
from support.chains import random_source
from support.tiny import CPU


class Asked:
    """A source that notes at which times its denoiser was asked."""

    def __init__(self) -> None:
        source = random_source(3)
        self.times: list[int] = []

        def noise(x_t: torch.Tensor, t: int, labels: torch.Tensor | None) -> torch.Tensor:
            self.times.append(t)
            return source.denoiser(x_t, t, labels).eps_hat

        self.source = replace(source, denoiser=FunctionDenoiser(source.tables, noise, conditional=True))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", members(Sampler))
def test_that_a_rough_picture_is_that_of_a_chain_over_those_few_times(kind, share):
    asked = Asked()
    spec = SampleSpec(steps=50, count=2, sampler={"kind": kind}, label=1)
    record = Trajectory(Chain(asked.source, spec, CPU))
    target = place_of(record.times, 50 * share)
    picture = rough_picture(record, 50 * share, "x0_hat")
    assert picture is not None
    assert len(asked.times) <= ROUGH_CALLS + 2 * spec.sampler.calls(1)  # and the step that is looked at
    visited = few_times(record.chain, target)
    assert set(visited[:-1]) <= set(asked.times)
    visited = sorted(t for t in visited if t >= record.times[target])
    again = Chain(asked.source, spec.model_copy(update={"spacing": ExplicitSpacing(values=visited)}), CPU)
    *_, last = again.steps()
    at_image = target == len(record.times) - 1
    np.testing.assert_array_equal(picture, to_picture(last.x_s if at_image else last.prediction.x0_hat))


def test_that_a_rough_picture_of_a_branch_goes_on_from_where_it_left():
    asked = Asked()
    spec = SampleSpec(steps=50, count=2, sampler=DDIM())
    parent = Trajectory(Chain(asked.source, spec, CPU))
    list(parent.compute())
    changed = spec.model_copy(update={"label": 2})
    branch = Trajectory(Chain(asked.source, changed, CPU), parent=parent, leaves=20)
    asked.times.clear()
    picture = rough_picture(branch, 0, "x0_hat")
    visited = (*(t for t in asked.times if t <= parent.times[20]), 0)  # not those that lead there again
    assert len(visited) <= ROUGH_CALLS + 1
    assert visited[0] == parent.times[20]
    exact = parent.exact(20)
    *_, last = Chain(asked.source, changed, CPU, branch.chain.origin, visited).steps(0, exact.x, exact.past)
    np.testing.assert_array_equal(picture, to_picture(last.x_s))


@pytest.mark.parametrize("view", ["x_t", "eps_hat", "score", "noise", "change"])
def test_that_other_views_wait_for_the_chain(view):
    asked = Asked()
    record = Trajectory(Chain(asked.source, SampleSpec(steps=50, count=2), CPU))
    assert rough_picture(record, 0, view) is None
    assert not asked.times

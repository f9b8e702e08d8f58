"""A branch is the chain that would have gone on from there, whatever is changed, kept or visited when."""

from __future__ import annotations

import itertools
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion_studio.core.chain import ChainStep
from diffusion_studio.core.describe import members, with_value
from diffusion_studio.core.process.schedules import CosineSchedule
from diffusion_studio.core.process.spacing import ExplicitSpacing
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers import (
    DDIM,
    DDPM,
    DPMSolver2M,
    DPMSolver2MSDE,
    Heun,
    PredictorCorrector,
    Sampler,
    SigmaCurve,
)
from diffusion_studio.core.samplers.base import RECALLED
from diffusion_studio.core.steps.clipping import Clip, Unclipped
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.distances import distance_between, distance_to_end
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import Source
from diffusion_studio.engine.chains.states import MEMORY_CAP, States
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.chains.views import VIEWS, View
from support.chains import random_source

CPU = torch.device("cpu")
STEPS = 7
SAMPLERS = {kind: cls() for kind, cls in members(Sampler).items()} | {
    "sigma": SigmaCurve(points=((1.0, 0.0), (20.0, 0.1), (50.0, 0.3))),
    "stochastic ddim": DDIM(eta=0.6),
}
HALF = 2.0**-10


def spec_of(sampler: Sampler, **values) -> SampleSpec:
    return SampleSpec(**({"steps": STEPS, "count": 2, "sampler": sampler, "seed": 5} | values))


def main_chain(spec: SampleSpec, source: Source | None = None, memory_cap: int = MEMORY_CAP) -> Trajectory:
    return Trajectory(Chain(source or random_source(3), spec, CPU), memory_cap)


def branch_of(parent: Trajectory, leaves: int, spec: SampleSpec | None = None, **more) -> Trajectory:
    chain = Chain(parent.chain.source, spec or parent.chain.spec, CPU)
    return Trajectory(chain, parent=parent, leaves=leaves, **more)


def computed(made: Trajectory) -> Trajectory:
    list(made.compute())
    return made


def everything(made: Trajectory) -> list[np.ndarray]:
    states = [made.values(view, k) for k in range(made.steps + 1) for view in VIEWS]
    return [*states, made.sigma, made.eps_norm]


def same(a: Trajectory, b: Trajectory) -> None:
    assert a.times == b.times
    for mine, other in zip(everything(a), everything(b), strict=True):
        np.testing.assert_array_equal(mine, other)


def straight(chain: Chain) -> list[torch.Tensor]:
    """Every state of one run without any record."""
    x = chain.start()
    return [x, *(step.x_s for step in chain.steps(0, x))]


# --- nothing changed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("leaves", [0, 3, STEPS - 1])
@pytest.mark.parametrize("kind", SAMPLERS)
def test_that_a_branch_with_nothing_changed_is_its_parent_bit_for_bit(kind, leaves):
    parent = computed(main_chain(spec_of(SAMPLERS[kind])))
    branch = computed(branch_of(parent, leaves))
    same(branch, parent)
    assert torch.equal(branch.exact(STEPS).x, parent.exact(STEPS).x)


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize(("first", "second"), [(2, 4), (4, 2), (3, 3), (0, 5), (6, 1)])
def test_that_a_branch_of_a_branch_with_nothing_changed_is_its_parent(kind, first, second):
    parent = main_chain(spec_of(SAMPLERS[kind]))
    nested = computed(branch_of(branch_of(parent, first), second))
    same(nested, computed(parent))


@pytest.mark.parametrize("clip", [Clip(), Clip(rederive=False), Unclipped()])
def test_that_the_clipping_of_the_estimate_before_is_remembered(clip):
    parent = computed(main_chain(spec_of(DPMSolver2M(), clip=clip)))
    same(computed(branch_of(parent, 4)), parent)


def test_that_the_solver_remembers_the_step_before_it_was_left():
    parent = computed(main_chain(spec_of(DPMSolver2M())))
    branch = computed(branch_of(parent, 4))
    assert branch.chain.updates[0] == parent.chain.updates[4]
    assert branch.chain.updates[0]["x0_before"] != 0
    assert parent.chain.updates[0]["x0_before"] == 0


def test_that_a_branch_begins_inside_its_parent_wherever_one_asks():
    parent = computed(main_chain(spec_of(DDPM())))
    assert branch_of(parent, -3).leaves == 0
    assert branch_of(parent, 99).leaves == STEPS - 1
    assert computed(branch_of(parent, 99)).is_complete


def test_that_a_branch_has_as_many_samples_as_its_parent():
    parent = computed(main_chain(spec_of(DDPM())))
    branch = computed(branch_of(parent, 3, spec_of(DDPM(), count=9)))
    same(branch, parent)


# --- something changed ------------------------------------------------------------------------------------

CHANGES = {
    "sampler.eta": 1.0, "seed": 6, "label": 2, "spacing.kind": "quadratic", "guidance": 3.0,
    "sampler.kind": "heun", "clip.kind": "off",
}  # fmt: skip


@pytest.mark.parametrize("leaves", [0, 3, STEPS - 1])
@pytest.mark.parametrize("path", CHANGES)
def test_that_a_change_acts_on_the_future_alone(path, leaves):
    before = spec_of(DDIM(eta=0.5))
    parent = computed(main_chain(before))
    kept = everything(parent)
    branch = computed(branch_of(parent, leaves, with_value(before, path, CHANGES[path])))
    assert branch.times[: leaves + 1] == parent.times[: leaves + 1]
    for k in range(leaves):
        for view in VIEWS:
            np.testing.assert_array_equal(branch.values(view, k), parent.values(view, k))
    np.testing.assert_array_equal(branch.x_t(leaves), parent.x_t(leaves))
    np.testing.assert_array_equal(branch.sigma[:leaves], parent.sigma[:leaves])
    np.testing.assert_array_equal(branch.eps_norm[:leaves], parent.eps_norm[:leaves])
    last_step = leaves == STEPS - 1 and path in ("sampler.eta", "seed", "spacing.kind", "sampler.kind")
    if not last_step:  # no noise is added there, and no time is left to choose
        assert (branch.x_t(branch.steps) != parent.x_t(STEPS)).any()
    for mine, other in zip(everything(parent), kept, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_that_the_seed_of_a_branch_changes_the_noise_of_its_own_steps_alone():
    spec = spec_of(DDPM())
    parent = computed(main_chain(spec))
    branch = computed(branch_of(parent, 3, with_value(spec, "seed", 6)))
    for k in range(STEPS - 1):
        assert (branch.values("noise", k) == parent.values("noise", k)).all() == (k < 3)
    same(computed(branch_of(branch, 5)), branch)


def test_that_other_times_go_on_from_where_the_parent_was_left():
    spec = spec_of(DDIM(), spacing=ExplicitSpacing(values=(5, 13, 21, 34, 50)))
    parent = computed(main_chain(spec))
    assert parent.times == (50, 34, 21, 13, 5, 0)
    other = with_value(spec, "spacing.values", (2, 11, 20, 30, 50))
    branch = computed(branch_of(parent, 2, other))
    assert branch.times == (50, 34, 21, 20, 11, 2, 0)
    assert branch.chain.times == branch.times[2:]
    x = parent.exact(2).x
    again = [step.x_s for step in Chain(parent.chain.source, other, CPU, only=branch.times[2:]).steps(0, x)]
    assert torch.equal(branch.exact(branch.steps).x, again[-1])


def test_that_a_change_takes_up_what_the_parent_had_seen():
    """A branch that goes over to DPM-Solver++(2M) knows the step before, though Heun made it."""
    spec = spec_of(Heun())
    parent = computed(main_chain(spec))
    branch = computed(branch_of(parent, 3, spec.model_copy(update={"sampler": DPMSolver2M()})))
    exact = parent.exact(3)
    x, past = exact.x, exact.past
    assert past.times == (parent.times[2],)
    alone = Chain(parent.chain.source, branch.chain.spec, CPU, branch.chain.origin)
    states = [step.x_s for step in alone.steps(0, x, past)]
    assert torch.equal(branch.exact(STEPS).x, states[-1])


# --- in any order -----------------------------------------------------------------------------------------


def family() -> list[Trajectory]:
    """A chain, two branches of it, and a branch of the first."""
    spec = spec_of(DPMSolver2MSDE())
    parent = main_chain(spec)
    first = branch_of(parent, 2, with_value(spec, "seed", 8))
    second = branch_of(parent, 5, with_value(spec, "label", 1))
    return [parent, first, second, branch_of(first, 4, with_value(spec, "sampler.kind", "ddpm"))]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, STEPS)), max_size=12))
@settings(max_examples=15)
def test_that_branches_do_not_depend_on_the_order_of_computing_and_visiting(acts):
    made, expected = family(), family()
    for record in expected:
        computed(record)
    for number, until in acts:
        record = made[number]
        list(record.compute(until))
        for k in range(record.ready):
            record.exact(k)
            record.picture("change", k)
    for record, other in zip(made, expected, strict=True):
        same(computed(record), other)


@given(st.integers(0, 3), st.integers(0, STEPS + 1))
@settings(max_examples=15)
def test_that_a_branch_left_in_the_middle_is_taken_up_again(number, left_at):
    made, expected = family()[number], computed(family()[number])
    for _ in itertools.islice(made.compute(), left_at):
        pass
    same(computed(made), expected)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_that_every_exact_state_is_that_of_one_straight_run(kind):
    made = computed(main_chain(spec_of(SAMPLERS[kind], steps=20)))
    states = straight(made.chain)
    for k in [*range(21), *reversed(range(21)), 7, 19, 0]:
        exact = made.exact(k)
        x, past = exact.x, exact.past
        assert torch.equal(x, states[k])
        memory = max(SAMPLERS[kind].memory, 1)
        assert (() if past is None else past.times) == made.times[max(k - memory, 0) : k][::-1]


def test_that_the_exact_states_of_a_branch_are_those_of_both_runs():
    spec = spec_of(DPMSolver2M(), steps=20)
    parent = computed(main_chain(spec))
    branch = computed(branch_of(parent, 9, with_value(spec, "label", 2)))
    states = straight(parent.chain)[:10]
    exact = parent.exact(9)
    x, past = exact.x, exact.past
    states += [step.x_s for step in branch.chain.steps(0, x, past)]
    for k in range(branch.steps + 1):
        assert torch.equal(branch.exact(k).x, states[k])


@pytest.mark.parametrize("leaves", [0, 2])
def test_that_a_step_counts_only_once_all_of_it_is_kept(leaves, monkeypatch):
    """What another thread finds while a step is kept."""
    made = branch_of(computed(main_chain(spec_of(DPMSolver2M()))), leaves)
    record, seen = States.record, []

    def watched(states: States, step: ChainStep) -> None:
        before = made.ready
        record(states, step)
        assert made.ready == before
        for k, x_t in enumerate(seen):
            assert torch.equal(made.exact(leaves + k).x, x_t)
        seen.append(step.x_t)

    monkeypatch.setattr(States, "record", watched)
    computed(made)
    assert len(seen) == STEPS - leaves and made.is_complete


def test_that_only_known_states_are_exact():
    made = main_chain(spec_of(DDPM()))
    with pytest.raises(IndexError, match="not computed"):
        made.exact(0)
    list(made.compute(3))
    with pytest.raises(IndexError, match="not computed"):
        made.exact(6)


@pytest.mark.parametrize(("parent_cap", "own_cap"), [(0, MEMORY_CAP), (MEMORY_CAP, 0), (0, 0)])
def test_that_branches_on_disk_equal_those_in_memory(parent_cap, own_cap):
    spec = spec_of(DDPM(), clip=Clip(rederive=False))
    parent = computed(main_chain(spec, memory_cap=parent_cap))
    branch = computed(branch_of(parent, 3, with_value(spec, "seed", 9), memory_cap=own_cap))
    assert (parent.on_disk, branch.on_disk) == (parent_cap == 0, own_cap == 0)
    expected = computed(main_chain(spec))
    same(parent, expected)
    same(branch, computed(branch_of(expected, 3, with_value(spec, "seed", 9))))


def test_that_a_branch_takes_room_for_its_own_steps_only():
    parent = main_chain(spec_of(DDPM()))
    sizes = [branch_of(parent, leaves).size for leaves in range(STEPS)]
    assert sizes[0] == parent.size
    assert all(a > b for a, b in itertools.pairwise(sizes))


# --- while it is computed ---------------------------------------------------------------------------------


def test_that_of_a_branch_not_begun_its_parents_states_are_shown():
    parent = computed(main_chain(spec_of(DDPM())))
    branch = branch_of(parent, 3)
    branch.states.arrays["x_t"].fill(np.nan)
    branch.states.arrays["x0_hat"].fill(np.nan)
    assert (branch.ready, branch.estimates, branch.is_complete) == (3, 3, False)
    for k in range(3):
        for view in VIEWS:
            np.testing.assert_array_equal(branch.values(view, k), parent.values(view, k))
    for view in VIEWS:
        with pytest.raises(IndexError, match="not computed"):
            branch.values(view, 3)


def test_that_nothing_uncomputed_of_a_branch_is_ever_read():
    parent = main_chain(spec_of(DDPM()))
    branch = branch_of(parent, 3, with_value(parent.chain.spec, "seed", 7))
    for record in (parent, branch):
        record.states.arrays["x_t"].fill(np.nan)
        record.states.arrays["x0_hat"].fill(np.nan)
    assert branch.ready == 0
    ready = 0
    for told in branch.compute():
        assert told.total == STEPS
        assert branch.ready >= ready
        ready = branch.ready
        for k, view in itertools.product(range(ready), VIEWS):
            assert np.isfinite(branch.values(view, k)).all()
        assert np.isfinite(distance_to_end(branch)).all()
        with pytest.raises(IndexError):
            branch.x_t(ready)
    assert branch.is_complete
    assert parent.ready == 4  # no further than where it was left
    assert not list(branch.compute())


# --- views against their definitions ----------------------------------------------------------------------


TABLES = Tables.from_betas(CosineSchedule().betas(50))
ONE_SUM = [kind for kind, sampler in SAMPLERS.items() if sampler.update(TABLES, 40, 30).inner is None]


@pytest.mark.parametrize("kind", ONE_SUM)
def test_that_a_step_is_its_mean_and_the_noise_that_is_shown(kind):
    made = computed(main_chain(spec_of(SAMPLERS[kind], clip=Unclipped())))
    past = None
    for step in made.chain.steps():
        known = {
            "x_t": step.x_t, "x0_hat": step.prediction.x0_hat, "eps_hat": step.prediction.eps_hat,
        }  # fmt: skip
        for quantity in set(step.update.values) & set(RECALLED):
            back, name = RECALLED[quantity]
            known[quantity] = getattr(past.steps[back], name)
        terms = [term for term in step.update.terms if term.quantity != "noise"]
        mean = torch.stack([term.value * known[term.quantity] for term in terms]).sum(0)
        noise = torch.from_numpy(made.values("noise", step.index))
        torch.testing.assert_close(mean + noise, step.x_s, rtol=1e-4, atol=1e-4)
        past = step.past


@pytest.mark.parametrize("kind", SAMPLERS)
def test_that_the_noise_has_the_size_that_the_curve_of_sigma_says(kind):
    made = computed(main_chain(spec_of(SAMPLERS[kind], count=40)))
    for k in range(STEPS):
        size = float(np.sqrt((made.values("noise", k) ** 2).mean()))
        assert size == pytest.approx(made.sigma[k], rel=0.06)
        assert made.sigma[k] == made.chain.updates[k].added_sigma
    assert not made.values("noise", STEPS).any()


def test_that_the_corrections_add_to_the_noise_of_a_step():
    made = computed(main_chain(spec_of(PredictorCorrector(corrections=3))))
    update, t = made.chain.updates[2], made.times[2]
    draws = [made.chain.noise.step(t, made.chain.shape, number) for number in range(4)]
    expected = update.sigma * draws[0] + update.inner.sigma * (draws[1] + draws[2] + draws[3])
    np.testing.assert_allclose(made.values("noise", 2), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_that_change_is_the_difference_of_two_states():
    parent = computed(main_chain(spec_of(DDPM())))
    branch = computed(branch_of(parent, 3, with_value(parent.chain.spec, "seed", 1)))
    for made in (parent, branch):
        for k in range(STEPS):
            np.testing.assert_array_equal(made.values("change", k), made.x_t(k + 1) - made.x_t(k))
        assert not made.values("change", STEPS).any()


@pytest.mark.parametrize("clip", [Unclipped(), Clip(), Clip(rederive=False)])
def test_that_the_score_is_the_noise_that_is_seen_over_its_size(clip):
    made = computed(main_chain(spec_of(DDIM(), clip=clip)))
    for step in made.chain.steps():
        room = 1 - made.chain.source.tables.alpha_bar_at(step.t)
        expected = -step.prediction.eps_hat.numpy() / room**0.5
        largest = np.abs(step.x_t.numpy()).max()
        np.testing.assert_allclose(
            made.values("score", step.index), expected, rtol=HALF, atol=2 * HALF * largest / room
        )
    assert not made.values("score", STEPS).any()


def test_that_every_view_has_its_function():
    assert set(VIEWS) == set(get_args(View))


@pytest.mark.parametrize("view", VIEWS)
def test_that_every_view_can_be_seen_at_every_state(view):
    made = computed(main_chain(spec_of(DDPM())))
    for k in range(STEPS + 1):
        picture = made.picture(view, k)
        assert (picture.shape, picture.dtype) == ((2, 8, 8, 1), np.uint8)
        grey = np.full_like(picture, 128)
        nothing = (
            view == "guidance"
            or (view == "unguided" and not made.knows_unguided(k))
            or (k == STEPS and view in ("eps_hat", "score", "noise", "change"))
        )
        assert (np.abs(picture.astype(int) - grey) <= 1).all() == (
            nothing or (view == "noise" and made.sigma[min(k, STEPS - 1)] == 0)
        )


# --- apart ------------------------------------------------------------------------------------------------


def test_that_a_branch_is_no_distance_from_its_parent_until_it_leaves():
    parent = computed(main_chain(spec_of(DDPM())))
    branch = computed(branch_of(parent, 3, with_value(parent.chain.spec, "seed", 1)))
    apart = distance_between(branch, parent)
    assert apart.shape == (STEPS + 1, 2)
    assert not apart[:4].any()
    assert (apart[4:] > 0).all()
    np.testing.assert_array_equal(apart, distance_between(parent, branch))
    k, sample = 6, 1
    difference = branch.x_t(k)[sample].astype(np.float64) - parent.x_t(k)[sample]
    assert apart[k, sample] == pytest.approx(np.sqrt((difference**2).mean()), rel=1e-5)
    assert not distance_between(parent, parent).any()


def test_that_no_distance_is_told_where_one_of_both_is_not_known():
    spec = spec_of(DDIM(), spacing=ExplicitSpacing(values=(10, 20, 30, 50)))
    parent = computed(main_chain(spec))
    other = computed(branch_of(parent, 1, with_value(spec, "spacing.values", (15, 20, 50))))
    assert other.times == (50, 30, 20, 15, 0)
    np.testing.assert_array_equal(
        np.isnan(distance_between(other, parent)[:, 0]), [False] * 3 + [True, False]
    )
    unfinished = branch_of(parent, 1, spec)
    list(unfinished.compute(2))
    assert np.isfinite(distance_between(unfinished, parent)[: unfinished.ready]).all()
    assert np.isnan(distance_between(unfinished, parent)[unfinished.ready :]).all()

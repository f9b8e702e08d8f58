"""What the cards of the Sample page's tour say is so: measured on the chains that each click asks for.

The oracle is the data set itself: which of its images a chain ends in, and how large x_t is under q.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch

from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import open_named, training_images
from diffusion_studio.viewmodels.tours import sample
from diffusion_studio.viewmodels.tours.sample import TOTAL, Scene
from diffusion_studio.viewmodels.tours.tour import TourCard
from support.tiny import CPU

DIGITS, COUNT = "memorising:digits", 64


@lru_cache(maxsize=1)
def source():
    return open_named(DIGITS, CPU)


@lru_cache(maxsize=1)
def data():
    """Every image as a row in [−1, 1], and its class."""
    images = training_images(DIGITS)
    return images.images.reshape(images.count, -1) / 127.5 - 1, images.labels


def nearest(x):
    """Which training image is nearest to each sample, and its root mean square distance."""
    rows = np.asarray(x, np.float64).reshape(len(x), -1)
    squares = (rows**2).sum(1)[:, None] + (data()[0] ** 2).sum(1) - 2 * rows @ data()[0].T
    return squares.argmin(1), np.sqrt(squares.min(1).clip(0) / rows.shape[1])


@lru_cache(maxsize=64)
def walked(spec: SampleSpec, origin=None, start=None):
    """The chain, its states x_t and its estimates x̂_0, noise first."""
    chain = Chain(source(), spec, CPU, origin)
    states, estimates = [chain.start() if start is None else start], []
    for step in chain.steps(0, states[0]):
        states.append(step.x_s)
        estimates.append(step.prediction.x0_hat)
    return chain, states, estimates


def main_chain(scene: Scene):
    return walked(scene.tree.spec.model_copy(update={"count": COUNT}))


def ends(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """The last images of A and of B."""
    chain, states, _ = main_chain(scene)
    tree = scene.tree
    branch = tree.branches[0]
    k = chain.times.index(branch.time)
    spec = tree.spec_of(tree.active).model_copy(update={"count": COUNT})
    _, after, _ = walked(spec, chain.origin_at(k), states[k])
    return states[-1].numpy(), after[-1].numpy()


def alike(scene: Scene) -> float:
    """How many of B's images are those of A."""
    a, b = ends(scene)
    return float((nearest(a)[0] == nearest(b)[0]).mean())


def same_class(scene: Scene) -> float:
    a, b = (data()[1][nearest(x)[0]] for x in ends(scene))
    return float((a == b).mean())


def sizes(scene: Scene) -> np.ndarray:
    """E‖x_t‖² of the chain over that of the forward process, at each visited t."""
    chain, states, _ = main_chain(scene)
    kept = np.array([source().tables.alpha_bar_at(t) for t in chain.times])
    rows = data()[0]
    expected = kept * (rows**2).sum(1).mean() + (1 - kept) * rows.shape[1]
    return np.array([float(x.square().sum() / COUNT) for x in states]) / expected


def test_that_ddim_ends_where_its_start_says_and_ddpm_elsewhere():
    both, ddim, ddpm = sample.AGAINST.actions
    a, b = ends(ddim)
    np.testing.assert_allclose(a, b, atol=1e-6)
    assert alike(ddpm) < 0.05
    assert alike(both) < 0.05


def test_that_few_steps_of_ddim_end_mostly_in_the_same_images_and_those_of_ddpm_do_not():
    twenty, five, ddpm = map(alike, sample.FEW_STEPS.actions)
    assert twenty == pytest.approx(0.9, abs=0.08)
    assert five == pytest.approx(0.7, abs=0.1)
    assert ddpm < 0.05


def test_that_x_t_has_its_size_whatever_sigma_is_and_the_chains_end_in_other_images_of_the_data():
    found = []
    for scene in sample.SIGMA.actions:
        assert np.abs(sizes(scene) - 1).max() < 0.08  # of 64 images; one standard error is 0.02
        index, distance = nearest(main_chain(scene)[1][-1].numpy())
        assert distance.max() < 1e-3
        found.append(index)
    assert all((found[0] == other).mean() < 0.1 for other in found[1:])


def test_that_the_noise_of_a_forward_step_is_too_much_for_a_long_step_alone():
    large, small, short = sample.TOO_LARGE.actions
    assert sizes(large).max() == pytest.approx(1.2, abs=0.06)
    assert sizes(small).max() < 1.05
    assert sizes(short).max() < 1.08
    left = [nearest(main_chain(scene)[1][-1].numpy())[1].max() for scene in (large, short)]
    assert left[0] > 0.1 > 1e-3 > left[1]


def test_that_a_branch_ends_elsewhere_early_in_the_same_kind_later_and_in_the_same_image_at_last():
    early, middle, late = sample.DECIDED.actions
    assert alike(early) < 0.05
    assert alike(middle) < 0.4
    assert same_class(middle) > 0.6
    assert same_class(early) < 0.35
    assert alike(late) > 0.9


def test_that_the_estimate_is_the_same_blur_at_first_and_nearest_to_its_image_at_last():
    found = {}
    for scene in sample.BLUR.actions:
        chain, states, estimates = main_chain(scene)
        k = chain.times.index(round(scene.place * TOTAL))
        found[chain.times[k]] = estimates[k].numpy()
    end = nearest(states[-1].numpy())[0]
    near = {t: float((nearest(x)[0] == end).mean()) for t, x in found.items()}
    assert near[900] < 0.05
    assert near[500] == pytest.approx(0.75, abs=0.1)
    assert near[300] > 0.98
    scatter = {t: float(x.std(0).mean()) for t, x in found.items()}
    assert scatter[900] < 0.3 * scatter[300]
    mean = data()[0].mean(0).reshape(1, 1, 8, 8)
    assert np.sqrt(((found[900] - mean) ** 2).mean()) < 0.2


def test_that_a_class_is_heard_from_gamma_1_on():
    nothing, class_alone, in_turn = (main_chain(scene) for scene in sample.ASKS.actions)
    shares = [
        float((data()[1][nearest(states[-1].numpy())[0]] == sample.THREE).mean())
        for _, states, _ in (nothing, class_alone)
    ]
    assert shares[0] == pytest.approx(0.1, abs=0.06)
    assert shares[1] == 1
    chain, states, _ = in_turn
    asked = chain.labels().numpy()
    assert set(asked) == set(range(10))
    assert (data()[1][nearest(states[-1].numpy())[0]] == asked).all()


def test_that_more_guidance_leaves_fewer_images_nearer_to_each_other():
    different, apart = [], []
    for scene in sample.COSTS.actions:
        x = main_chain(scene)[1][-1].flatten(1)
        index = nearest(x.numpy())[0]
        assert (data()[1][index] == sample.THREE).all()
        different.append(len(set(index.tolist())))
        apart.append(float(torch.pdist(x).mean()))
    assert different[0] > different[1] > different[2]
    assert apart[0] > apart[1] > apart[2]


@pytest.mark.parametrize("card", sample.CARDS, ids=lambda card: card.title)
def test_that_every_scene_is_a_chain_that_can_be_shown(card: TourCard[Scene]):
    for scene in card.actions:
        tree = scene.tree
        assert tree.spec_of(tree.active).count == 16
        for branch in tree.branches:
            assert branch.time in tree.spec.times(source().tables)
            assert (tree.active, tree.compared) == (1, 0)

"""Muon: what its rounds make of a matrix, how far it moves, and that it goes on exactly."""

import copy

import pytest
import torch
from torch import nn

from diffusion_studio.engine.loop.descent import Descent
from diffusion_studio.engine.loop.muon import MOMENTUM, Muon, all_orthogonal, orthogonal


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(36, 2))


def made(muon=True):
    net = network()
    return net, Descent(net, copy.deepcopy(net).requires_grad_(False), muon=muon)


def step(net, descent, scale=1.0, seed=0):
    x = torch.randn(5, 3, 7, 7, generator=torch.Generator().manual_seed(seed))
    descent.backward(net(x).square().mean() * scale)
    descent.follow(1e-3, 0.9)


@pytest.mark.parametrize("shape", [(4, 4), (16, 40), (40, 16), (64, 9), (1, 7)])
def test_that_singular_values_come_near_1_and_directions_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(matrix)
    inside = u.T @ found @ v.T
    assert float((inside - torch.diag(inside.diagonal())).abs().max()) < 1e-9
    assert 0.5 < float(inside.diagonal().min()) <= float(inside.diagonal().max()) < 1.3


@pytest.mark.parametrize("shape", [(64, 64), (32, 288), (288, 32)])
def test_that_small_singular_values_are_found_beside_large_ones(shape):
    """Those of a momentum fall by thousands; squared, in X Xᵀ, they would be lost in rounding."""
    rough = torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    u, s, v = torch.linalg.svd(rough, full_matrices=False)
    matrix = (u * torch.arange(1, len(s) + 1) ** -2.0 @ v).float()
    exact = orthogonal(matrix.double())
    assert float((orthogonal(matrix) - exact).norm() / exact.norm()) < 5e-5


def by_rounds(matrix):
    """As the source writes it: every round multiplies the matrix itself."""
    x = matrix / (matrix.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x


def test_that_many_at_once_are_what_each_is_by_itself():
    generator = torch.Generator().manual_seed(4)
    shapes = [(4, 9), (4, 30), (16, 144), (144, 16), (16, 16), (4, 4)]
    matrices = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    for matrix, found in zip(matrices, all_orthogonal(matrices), strict=True):
        tall = matrix.shape[0] > matrix.shape[1]
        expected = by_rounds(matrix.T).T if tall else by_rounds(matrix)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_that_a_step_is_momentum_made_orthogonal():
    weight = torch.randn(6, 4, generator=torch.Generator().manual_seed(2)).requires_grad_()
    optimizer, start, momentum = Muon([weight]), weight.detach().clone(), torch.zeros(6, 4)
    optimizer.param_groups[0].update(lr=0.1, weight_decay=0.0)
    expected = start
    for number in range(3):
        gradient = torch.randn(6, 4, generator=torch.Generator().manual_seed(number))
        weight.grad = gradient.clone()
        optimizer.step()
        momentum = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        ahead = (1 - MOMENTUM) * gradient + MOMENTUM * momentum
        expected = expected - 0.1 * (6 / 4) ** 0.5 * orthogonal(ahead)
    torch.testing.assert_close(weight.detach(), expected)


def test_that_the_length_of_the_gradient_does_not_matter_to_matrices():
    (one, first), (two, second) = made(), made()
    step(one, first)
    step(two, second, scale=1000.0)
    torch.testing.assert_close(one[0].weight, two[0].weight, rtol=1e-4, atol=1e-6)


def test_that_a_gradient_that_is_no_number_changes_nothing():
    net, descent = made()
    step(net, descent)
    before = {name: value.clone() for name, value in {**net.state_dict(), **descent.state()}.items()}
    step(net, descent, scale=float("nan"), seed=1)
    after = {**net.state_dict(), **descent.state()}
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_that_it_goes_on_bit_for_bit():
    net, descent = made()
    for number in range(3):
        step(net, descent, seed=number)
    weights, remembered = copy.deepcopy(net.state_dict()), copy.deepcopy(descent.state())
    step(net, descent, seed=9)
    again, other = made()
    again.load_state_dict(weights)
    other.restore(remembered)
    step(again, other, seed=9)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_that_another_optimizer_s_memory_is_refused():
    net, descent = made(muon=False)
    step(net, descent)
    with pytest.raises(KeyError):
        made()[1].restore(descent.state())


def test_that_matrices_are_moved_by_muon_and_the_rest_by_adam():
    net, descent = made()
    step(net, descent)
    keys = {key.split(".", 1)[1]: key.split(".")[0] for key in descent.state()}
    assert {name for name, key in keys.items() if key == "momentum"} == {
        "0.weight", "2.weight", "4.weight"
    }  # fmt: skip

"""What learns from one piece of memory learns the same, to the last bit, as tensor by tensor."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from diffusion_studio.core.averaging import decay_at
from diffusion_studio.engine.loop.descent import Descent
from diffusion_studio.engine.loop.flat import LINE, Flat, is_even

CLIP = 1.0


class Net(nn.Module):
    """Weights of every kind: even and odd ones, channels last, one that plays no part."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(2, 16, 3, padding=1).to(memory_format=torch.channels_last)
        self.last = nn.Conv2d(16, 3, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(5))
        self.unused = nn.Parameter(torch.ones(LINE))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x).tanh()) * self.scale.sum()


def loss_of(net: nn.Module, number: int) -> torch.Tensor:
    """Now long gradients, which are shortened, now short ones."""
    x = torch.randn(4, 2, 6, 6, generator=torch.Generator().manual_seed(number))
    return net(x).square().mean() * (3.0 if number % 2 else 0.003)


def test_that_each_step_has_the_bits_of_one_tensor_after_the_other() -> None:
    net = Net()
    plain, average = copy.deepcopy(net), copy.deepcopy(net).requires_grad_(False)
    averages = [w.detach().clone() for w in plain.parameters()]
    descent, optimizer = Descent(net, average), torch.optim.AdamW(plain.parameters(), lr=1e-2, fused=True)
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0
    shortened = 0
    for number in range(40):
        descent.backward(loss_of(net, number))
        descent.follow(1e-2, decay_at(number, 0.99), CLIP)
        optimizer.zero_grad(set_to_none=True)
        loss_of(plain, number).backward()
        norm = torch.nn.utils.get_total_norm([w.grad for w in plain.parameters() if w.grad is not None])
        if norm > CLIP:
            torch.nn.utils.clip_grads_with_norm_(plain.parameters(), CLIP, norm)
            shortened += 1
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, list(plain.parameters()), 1 - decay_at(number, 0.99))
    assert 0 < shortened < 40
    for (name, mine), theirs in zip(net.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(mine, theirs), name
        assert mine.stride() == theirs.stride()
        for key, known in optimizer.state[theirs].items():
            assert torch.equal(descent.state()[f"{key}.{name}"], known), name
    for mine, theirs in zip(average.parameters(), averages, strict=True):
        assert torch.equal(mine, theirs)


def test_that_a_gradient_that_is_no_number_changes_nothing() -> None:
    net = Net()
    average = copy.deepcopy(net).requires_grad_(False)
    descent = Descent(net, average)
    descent.backward(loss_of(net, 0))
    descent.follow(1e-2, 0.9, CLIP)
    before = copy.deepcopy([net.state_dict(), average.state_dict(), descent.state()])
    for wrong in (torch.nan, torch.inf):
        descent.backward(loss_of(net, 1) * wrong)
        descent.follow(1e-2, 0.9, CLIP)
    for now, then in zip([net.state_dict(), average.state_dict(), descent.state()], before, strict=True):
        assert all(torch.equal(now[name], value) for name, value in then.items())


def test_that_each_weight_has_its_gradient_whatever_played_a_part_before() -> None:
    net = Net()
    descent = Descent(net, copy.deepcopy(net).requires_grad_(False))
    weights = list(net.parameters())
    for number, whole in enumerate([True, True, False, False, True, True, False]):
        more = net.unused.square().sum() if whole else 0
        loss = loss_of(net, number) + more
        expected = torch.autograd.grad(loss, weights, allow_unused=True, retain_graph=True)
        descent.backward(loss)
        assert (net.unused.grad is not None) == whole
        for weight, said in zip(weights, expected, strict=True):
            assert (weight.grad is None) == (said is None)
            assert weight.grad is None or torch.equal(weight.grad, said)  # type: ignore[arg-type]
        squares = sum(float(said.square().sum()) for said in expected if said is not None)
        assert float(descent._gradient.square().sum()) == pytest.approx(squares, rel=1e-5)  # the rest is 0


@pytest.mark.parametrize("muon", [False, True])
def test_that_it_goes_on_from_what_it_remembered(muon: bool) -> None:
    net = Net()
    first = Descent(net, copy.deepcopy(net).requires_grad_(False), muon=muon)
    for number in range(3):
        first.backward(loss_of(net, number))
        first.follow(1e-2, 0.9, CLIP)
    again = copy.deepcopy(net)
    second = Descent(again, copy.deepcopy(net).requires_grad_(False), muon=muon)
    second.restore(copy.deepcopy(first.state()))
    for number in range(3, 6):
        for descent, network in ((first, net), (second, again)):
            descent.backward(loss_of(network, number))
            descent.follow(1e-2, 0.9, CLIP)
    for mine, theirs in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_that_tensors_keep_values_and_layout_where_they_move() -> None:
    tensors = [
        torch.randn(3),
        torch.randn(4, 5),
        torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
    ]
    before = [(x.clone(), x.stride()) for x in tensors]
    whole = Flat(tensors).move(tensors)
    for tensor, (value, stride) in zip(tensors, before, strict=True):
        assert torch.equal(tensor, value)
        assert tensor.stride() == stride
        assert tensor.data_ptr() % (4 * LINE) == whole.data_ptr() % (4 * LINE)
        assert tensor.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()
    assert float(whole.abs().sum()) == pytest.approx(sum(float(x.abs().sum()) for x in tensors))
    assert [is_even(x) for x in tensors] == [False, False, True]

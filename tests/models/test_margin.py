"""Images of any size: what a network cannot halve goes through it with zeros around."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import pad

from diffusion_studio.core.refused import Refused
from diffusion_studio.models.unet import UNet, UNetSpec, build_unet, margins, padded

DEEP = UNetSpec(width=8, multipliers=(1, 1, 1), layers=1, attention=0)  # halves twice


def network(side: int, learned: bool = False) -> UNet:
    torch.manual_seed(0)
    return UNet(build_unet(DEEP.resolved(side, False), side, 1, 0, learned).eval())


@given(st.integers(1, 512), st.integers(1, 512), st.integers(1, 9))
def test_that_a_margin_is_as_small_and_as_even_as_can_be(height, width, levels):
    left, right, above, below = margins((height, width), levels)
    for side, before, after in ((height, above, below), (width, left, right)):
        assert (side + before + after) % 2 ** (levels - 1) == 0
        assert before + after < 2 ** (levels - 1)
        assert 0 <= after - before <= 1
        assert padded(side, levels) == side + before + after


@pytest.mark.parametrize("sides", [(9, 9), (10, 10), (11, 8), (3, 30)])
def test_that_what_is_said_has_the_size_of_what_was_shown(sides):
    net, x, t = network(10), torch.randn(2, 1, *sides), torch.tensor([3, 7])
    left, right, above, below = margins(sides, 3)
    said = net.predict(x, t).value
    (whole,) = net.unet(pad(x, (left, right, above, below)), t - 1, return_dict=False)
    assert said.shape == x.shape
    assert torch.equal(said, whole[..., above : above + sides[0], left : left + sides[1]])


def test_that_a_learned_variance_has_that_size_too():
    output = network(10, learned=True).predict(torch.randn(2, 1, 10, 10), torch.tensor([3, 7]))
    assert output.fraction is not None and output.fraction.shape == (2, 1, 10, 10)


def test_that_a_size_that_can_be_halved_goes_through_as_it_is():
    net, x, t = network(12), torch.randn(2, 1, 12, 12), torch.tensor([3, 7])
    assert torch.equal(net.predict(x, t).value, net.unet(x, t - 1, return_dict=False)[0])


def test_that_the_gradient_of_an_image_is_that_of_its_own_pixels():
    net, x = network(10), torch.randn(2, 1, 10, 10, requires_grad=True)
    net.predict(x, torch.tensor([3, 7])).value.square().sum().backward()
    assert x.grad is not None and bool((x.grad != 0).all())


def test_that_maps_with_a_margin_attend_by_their_own_size():
    blocks = build_unet(DEEP.model_copy(update={"attention": 3}), 10, 1, 0).config.down_block_types
    assert blocks == ("DownBlock2D", "DownBlock2D", "AttnDownBlock2D")


def test_that_more_levels_than_an_image_has_pixels_are_refused():
    with pytest.raises(Refused, match="must be at least 4; it is 3"):
        DEEP.resolved(3, False)

"""A network that remembers its times says what it said before."""

import pytest
import torch

from diffusion_studio.models.time_embedding import remember_times
from diffusion_studio.models.unet import UNetSpec, build_unet


def networks(classes: int, dtype: torch.dtype = torch.float64):
    """The same weights, without and with a memory."""
    spec = UNetSpec(width=8, multipliers=(1, 2), layers=1, attention=0)
    found = []
    for _ in range(2):
        torch.manual_seed(1)
        found.append(
            build_unet(spec.resolved(8, False), 8, 1, classes).eval().requires_grad_(False).to(dtype)
        )
    remember_times(found[1])
    return found


@pytest.mark.parametrize("classes", [0, 3])
def test_that_nothing_changes_but_the_time_it_takes(classes):
    plain, remembering = networks(classes)
    labels = torch.tensor([0, 1, 2, 3]) if classes else None
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for t in (torch.tensor(7), torch.full((4,), 7), torch.full((4,), 250), torch.tensor([1, 2, 3, 4]), 7):
        for _ in range(2):
            expected = plain(x, t, labels, return_dict=False)[0]
            torch.testing.assert_close(remembering(x, t, labels, return_dict=False)[0], expected)


def test_that_each_time_is_embedded_once():
    remembering = networks(0, torch.float32)[1]
    calls = []
    remembering.time_embedding.linear_1.register_forward_hook(lambda *_: calls.append(1))
    x = torch.zeros(2, 1, 8, 8)
    for t in (5, 5, 6, 5):
        remembering(x, torch.full((2,), t), return_dict=False)
    assert len(calls) == 2
    with torch.autocast("cpu", torch.bfloat16):  # another precision is another embedding
        remembering(x, torch.full((2,), 5), return_dict=False)
    assert len(calls) == 3

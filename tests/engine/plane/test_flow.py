"""The likelihood along the flow on every shape of the plane."""

import pytest
import torch

from diffusion_studio.core.steps.flow import flow_log_likelihood, mixture_field
from diffusion_studio.engine.plane.shapes import SHAPES, mixture_of


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.key)
def test_that_the_flow_is_right_everywhere_or_gives_no_number(shape):
    """The whole picture of the plane, far from the data too, where ln p falls to −40,000."""
    mixture = mixture_of(shape.make())
    axis = torch.linspace(-3, 3, 25, dtype=torch.float64)
    x = torch.cartesian_prod(axis, axis)
    found = flow_log_likelihood(mixture_field(mixture), x)
    assert float(found.isnan().double().mean()) < 0.02
    assert float((found - mixture.at(1.0).log_density(x)).abs().nan_to_num().max()) < 0.01

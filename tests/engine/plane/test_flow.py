"""The likelihood along the flow on every shape of the plane."""

import pytest
import torch

from diffusion_studio.core.steps.flow import axes, estimated_field, flow_log_likelihood, mixture_field
from diffusion_studio.engine.plane.shapes import SHAPES, mixture_of


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.key)
def test_that_the_flow_is_right_everywhere_or_gives_no_number(shape):
    """The whole picture of the plane, far from the data too, where ln p falls to −40,000."""
    mixture = mixture_of(shape.make())
    axis = torch.linspace(-3, 3, 15, dtype=torch.float64)
    x = torch.cartesian_prod(axis, axis)
    found = flow_log_likelihood(mixture_field(mixture), x)
    assert float(found.isnan().double().mean()) < 0.02
    assert float((found - mixture.at(1.0).log_density(x)).abs().nan_to_num().max()) < 0.01


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.key)
def test_that_the_flow_of_any_callable_is_right_at_500_points_of_every_shape(shape):
    """Through ε̂ and gradients alone: the number errs by no more than was allowed."""
    mixture = mixture_of(shape.make())
    exact = mixture_field(mixture)
    x = mixture.at(1.0).sample(500, torch.Generator().manual_seed(0)).double()

    def estimate(x, alpha_bar, rows):
        return -exact(x, alpha_bar, rows)[0] * (1 - alpha_bar).sqrt()[:, None]

    for tolerance in (0.1, 2.5e-3):
        found = flow_log_likelihood(estimated_field(estimate, axes(500, 2)), x, tolerance)
        assert float((found - mixture.at(1.0).log_density(x)).abs().max()) < tolerance


def test_that_a_large_tolerance_leaps_over_nothing():
    """A step over all levels at which something happens would see no error: that was wrong by 5 nats."""
    mixture = mixture_of(SHAPES[0].make())
    x = mixture.at(1.0).sample(500, torch.Generator().manual_seed(0)).double()
    found = flow_log_likelihood(mixture_field(mixture), x, 0.25)
    assert float((found - mixture.at(1.0).log_density(x)).abs().max()) < 0.05

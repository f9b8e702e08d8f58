"""Points in the plane as a mixture without width."""

from __future__ import annotations

import pytest
import torch

from diffusion_studio.core.denoisers.exact import MemorisingDenoiser
from diffusion_studio.core.denoisers.memorised import MemorisedPoints, mixture_of_points
from diffusion_studio.core.process.schedules import CosineSchedule
from diffusion_studio.core.process.tables import Tables

TABLES = Tables.from_betas(CosineSchedule().betas(1000))


@pytest.mark.parametrize("t", [1, 30, 500, 1000])
@pytest.mark.parametrize("labelled", [False, True])
def test_that_points_are_the_memorising_denoiser(t, labelled):
    generator = torch.Generator().manual_seed(t)
    points = torch.randn(40, 2, generator=generator, dtype=torch.float64)
    classes = torch.arange(40) % 3
    x_t = torch.randn(200, 2, generator=generator, dtype=torch.float64)
    labels = torch.arange(200) % 4 - 1 if labelled else None
    found = MemorisedPoints(TABLES, mixture_of_points(points, classes))(x_t, t, labels)
    known = MemorisingDenoiser(TABLES, points, classes)(x_t, t, labels)
    assert float((found.x0_hat - known.x0_hat).abs().max()) < 1e-10


def test_that_at_no_noise_the_first_level_stands_for_it():
    points = torch.tensor([[0.0, 1.0], [2.0, 0.0]], dtype=torch.float64)
    exact = MemorisedPoints(TABLES, mixture_of_points(points, torch.tensor([0, 1])))
    place = torch.tensor([[0.3, 0.3]], dtype=torch.float64)
    assert torch.equal(exact.level(0).score(place), exact.level(1).score(place))
    drawn = exact.mixture.at(1.0).sample(50, torch.Generator().manual_seed(0))
    assert float(torch.cdist(drawn, points).min(1).values.max()) < 1e-8

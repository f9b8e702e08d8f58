"""What goes by the same name elsewhere and differs is said where a person meets it, and is true."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from diffusion_studio.core.describe import knobs
from diffusion_studio.core.process.schedules import CosineSchedule, LinearSchedule, SigmoidSchedule
from diffusion_studio.core.process.spacing import QuadraticSpacing
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers import DPMSolver2MSDE, Heun

TABLES = Tables.from_betas(LinearSchedule().betas(1000))


@pytest.mark.parametrize("eta", [0.3, 0.7, 1.0])
def test_that_the_eta_of_k_diffusion_is_our_eta_squared(eta):
    """x ← (ς_s/ς_t) e^{−ηh} x + (1 − e^{−(1+η)h}) D + ς_s √(1 − e^{−2ηh}) z, in x/√ᾱ."""
    t, s = 600, 500
    update = DPMSolver2MSDE(eta=eta**0.5).update(TABLES, t, s)
    high, low = TABLES.noise_level_at(t), TABLES.noise_level_at(s)
    h, root = math.log(high / low), TABLES.alpha_bar_at(s) ** 0.5
    assert update["x_t"] == pytest.approx(
        low / high * math.exp(-eta * h) * root / TABLES.alpha_bar_at(t) ** 0.5, rel=1e-9
    )
    assert update["x0_hat"] == pytest.approx(root * (1 - math.exp(-(1 + eta) * h)), rel=1e-9)
    assert update.sigma == pytest.approx(root * low * (1 - math.exp(-2 * eta * h)) ** 0.5, rel=1e-9)
    (eta_knob,) = (knob for knob in knobs(DPMSolver2MSDE()) if knob.path == "eta")
    assert "k-diffusion calls eta" in eta_knob.help


def test_that_heun_leaves_long_falls_from_high_to_euler():
    tables = Tables.from_betas(CosineSchedule().betas(1000))
    levels = [tables.noise_level_at(t) for t in (1000, 950)]
    assert levels[0] > 10 * max(levels[1], 8)
    assert Heun().update(tables, 1000, 950).inner is None
    assert Heun().update(tables, 900, 850).inner is not None
    assert "Euler alone where ς falls more than tenfold from above 80" in Heun.symbols


def test_that_our_sigmoid_is_one_of_alpha_bar():
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler(1000, beta_schedule="sigmoid").betas.double()
    ours = SigmoidSchedule().betas(1000)
    assert float((theirs - ours).abs().max()) > 0.01
    places = torch.linspace(-6, 6, 1000, dtype=torch.float64)
    torch.testing.assert_close(theirs, 1e-4 + (0.02 - 1e-4) * torch.sigmoid(places), rtol=1e-3, atol=1e-6)
    assert "of diffusers is of β" in SigmoidSchedule.summary


def test_that_our_quadratic_spacing_begins_at_t():
    code = (np.linspace(0, np.sqrt(1000 * 0.8), 20) ** 2).astype(int) + 1  # as DDIM's own code has it
    assert (QuadraticSpacing().times(TABLES, 20)[0], code[-1]) == (1000, 801)
    assert "0.8 T" in QuadraticSpacing.summary

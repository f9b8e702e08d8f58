"""The predictions are one."""

import pytest
import torch

from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.process.tables import diffuse
from diffusion_studio.core.steps.clipping import Clip


def edm(x_0, eps, level):
    """F from D = x_0: (x_0 − c_skip x)/c_out, as EDM's table 1 has it, with σ_d = ½."""
    skip, out = 0.25 / (level**2 + 0.25), 0.5 * level / (level**2 + 0.25) ** 0.5
    return (x_0 - skip * (x_0 + level * eps)) / out


def readings(alpha_bar: float):
    generator = torch.Generator().manual_seed(0)
    x_0 = torch.randn(4, 3, 2, 2, generator=generator, dtype=torch.float64)
    eps = torch.randn(4, 3, 2, 2, generator=generator, dtype=torch.float64)
    values = {
        "eps": eps,
        "x_0": x_0,
        "score": -eps / (1 - alpha_bar) ** 0.5,
        "v": alpha_bar**0.5 * eps - (1 - alpha_bar) ** 0.5 * x_0,
        "velocity": eps - x_0,
        "edm": edm(x_0, eps, ((1 - alpha_bar) / alpha_bar) ** 0.5),
    }
    return diffuse(x_0, eps, alpha_bar), values


@pytest.mark.parametrize("kind", READINGS)
@pytest.mark.parametrize("alpha_bar", [1e-4, 0.3, 0.9999])
def test_that_every_prediction_reads_as_every_other(kind, alpha_bar):
    x_t, values = readings(alpha_bar)
    for given in (alpha_bar, torch.full((4, 1, 1, 1), alpha_bar, dtype=torch.float64)):
        prediction = Prediction(kind, values[kind], x_t, given)
        torch.testing.assert_close(prediction.eps_hat, values["eps"], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(prediction.x0_hat, values["x_0"], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(prediction.score_hat, values["score"], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(prediction.v_hat, values["v"], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(prediction.read("velocity"), values["velocity"], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(prediction.read("edm"), values["edm"], rtol=1e-9, atol=1e-9)


def test_that_errors_are_tied():
    """‖x_0−x̂_0‖² = (1−ᾱ)/ᾱ ‖ε−ε̂‖², ‖s−ŝ‖² = ‖ε−ε̂‖²/(1−ᾱ), ‖v−v̂‖² = ‖ε−ε̂‖²/ᾱ."""
    a = 0.37
    x_t, values = readings(a)
    guess = Prediction("eps", values["eps"] + 0.1 * torch.ones_like(x_t), x_t, a)
    e = ((guess.eps_hat - values["eps"]) ** 2).sum()
    torch.testing.assert_close(((guess.x0_hat - values["x_0"]) ** 2).sum(), (1 - a) / a * e)
    torch.testing.assert_close(((guess.score_hat - values["score"]) ** 2).sum(), e / (1 - a))
    torch.testing.assert_close(((guess.v_hat - values["v"]) ** 2).sum(), e / a)


def test_that_clipping_keeps_the_readings_consistent():
    x_t, values = readings(0.5)
    clipped = Clip()(Prediction("eps", values["eps"] * 3, x_t, 0.5))
    assert clipped.x0_hat.abs().max() <= 1
    torch.testing.assert_close(diffuse(clipped.x0_hat, clipped.eps_hat, 0.5), x_t)

"""Whatever a denoiser gives reads as everything else, and a new quantity is one class."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.denoisers.readings import READINGS, Reading, plus
from diffusion_studio.core.objective.weights import error_scale
from diffusion_studio.core.process.schedules import CosineSchedule
from diffusion_studio.core.process.tables import Tables, diffuse

NOTATION = Path(__file__).parents[3] / "docs" / "NOTATION.md"
TABLES = Tables.from_betas(CosineSchedule().betas(100))
TEXTS = ("title", "summary", "symbol", "latex", "hat", "formula", "source", "prediction_type")


@dataclass(frozen=True)
class SlantReading(Reading):
    """2ε − x_0, which nobody asks for."""

    kind: ClassVar[str] = "slant"

    def x_0(self, value, x_t, root, noise_root):
        return plus(2 * x_t, value, -noise_root) / (2 * root + noise_root)

    def eps(self, value, x_t, root, noise_root):
        return plus(x_t, value, root) / (2 * root + noise_root)

    def target(self, x_0, eps, root, noise_root):
        return 2 * eps - x_0

    def scale(self, root, noise_root):
        return root / (2 * root + noise_root)


KINDS = [*READINGS, "slant"]


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """One more, beside those that the program knows."""
    monkeypatch.setitem(READINGS, "slant", SlantReading())


def drawn(seed: int = 0):
    return torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("t", [1, 40, 99])
def test_that_what_a_network_should_say_reads_as_image_and_noise(kind, t):
    x_0, noise, a = drawn(0), drawn(1), TABLES.alpha_bar_at(t)
    value = READINGS[kind].target(x_0, noise, a**0.5, (1 - a) ** 0.5)
    prediction = Prediction(kind, value, diffuse(x_0, noise, a), a)
    torch.testing.assert_close(prediction.x0_hat, x_0, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(prediction.eps_hat, noise, rtol=1e-9, atol=1e-9)
    assert prediction.read(kind) is value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_that_a_chain_of_readings_leads_back(kind, other):
    x_t, a = drawn(0), TABLES.alpha_bar_at(30)
    once = Prediction(kind, drawn(1), x_t, a)
    back = Prediction(other, once.read(other), x_t, a).read(kind)
    torch.testing.assert_close(back, once.value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("t", [1, 40, 100])
def test_that_the_scale_turns_its_own_error_into_that_of_the_noise(kind, t):
    x_t, a = drawn(0), TABLES.alpha_bar_at(t)
    true, guess = (Prediction(kind, drawn(seed), x_t, a) for seed in (1, 2))
    theirs, ours = (true.value - guess.value).abs(), (true.eps_hat - guess.eps_hat).abs()
    torch.testing.assert_close(float(error_scale(TABLES, kind)[t]) * theirs, ours, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_that_a_reading_holds_without_signal_or_says_so(kind):
    x_0, noise = drawn(0), drawn(1)
    value = READINGS[kind].target(x_0, noise, 0.0, 1.0)
    if READINGS[kind].holds_without_signal:
        torch.testing.assert_close(READINGS[kind].x_0(value, noise, 0.0, 1.0), x_0)
    else:
        assert torch.equal(value, READINGS[kind].target(drawn(2), noise, 0.0, 1.0))  # whatever the image


@pytest.mark.parametrize("kind", list(READINGS))
def test_that_a_reading_is_described_and_stands_in_the_notation(kind):
    reading = READINGS[kind]
    assert all(getattr(reading, text) for text in TEXTS)
    row = f"| {reading.title} | `{kind}` | {reading.summary} | {reading.prediction_type} | {reading.source} |"
    assert row in NOTATION.read_text("utf-8")

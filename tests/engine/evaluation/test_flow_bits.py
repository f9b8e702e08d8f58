"""Bits along the flow of a network, against a Gaussian's closed form."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from diffusion_studio.core.objective.elbo import discretised_term
from diffusion_studio.core.objective.weights import reverse_variance
from diffusion_studio.core.process.schedules import LinearSchedule
from diffusion_studio.core.process.tables import Tables, diffuse
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.evaluation import flow_bits
from diffusion_studio.engine.evaluation.evaluation import EvaluationSpec, read_evaluation
from diffusion_studio.engine.evaluation.flow_bits import measure_flow, time_of
from diffusion_studio.engine.evaluation.measured_bound import measure_bound
from diffusion_studio.engine.evaluation.text import flow_line
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.models.network import NetworkDenoiser, Output
from support.tiny import CPU, begin, finish, tiny_config

STD = 0.4
TABLES = Tables.from_betas(LinearSchedule().betas(100))


class GaussianNetwork:
    """ε̂ of data N(0, STD²) in the clothes of a network, at times between whole ones too."""

    classes, learns_variance = 0, False

    def predict(self, x_t, t, labels=None):
        known = torch.log(TABLES.noise_level[1:])
        low = t.double().floor().clamp(1, TABLES.steps - 1)
        share = t.double() - low
        at = low.long() - 1
        level = torch.exp(known[at] + share * (known[at + 1] - known[at]))
        alpha_bar = 1 / (1 + level**2)
        gain = (1 - alpha_bar).sqrt() / (alpha_bar * STD**2 + 1 - alpha_bar)
        return Output(gain.to(x_t.dtype).view(-1, 1, 1, 1) * x_t)


def test_that_a_time_between_two_is_where_ln_of_the_level_lies():
    whole = time_of(TABLES, TABLES.alpha_bar[[1, 2, 50, 100]])
    torch.testing.assert_close(whole, torch.tensor([1.0, 2.0, 50.0, 100.0], dtype=torch.float64))
    level = (TABLES.noise_level_at(7) * TABLES.noise_level_at(8)) ** 0.5
    assert float(time_of(TABLES, torch.tensor([1 / (1 + level**2)]).double())) == pytest.approx(7.5)


def test_that_the_bits_are_those_of_the_density(pictures, tmp_path):
    images = begin(tmp_path / "run", tiny_config(pictures)).images
    images = replace(images, images=np.clip(images.images, 40, 215))  # so that no estimate is clipped
    numbers = np.arange(4)
    report = measure_flow(NetworkDenoiser(TABLES, GaussianNetwork()), images, numbers, 1e-3, 2, 3, CPU)
    x_0 = torch.from_numpy(images.images[numbers] / 127.5 - 1)
    noise = torch.from_numpy(np.random.default_rng([3, 7]).standard_normal(x_0.shape))
    alpha_bar = TABLES.alpha_bar_at(1)
    x_1, spread = diffuse(x_0, noise, alpha_bar), alpha_bar * STD**2 + 1 - alpha_bar
    x0_hat = (alpha_bar**0.5 * STD**2 / spread * x_1).clamp(-1, 1)
    told = discretised_term(x_0, x0_hat, float(reverse_variance(TABLES)[1]))
    density = Normal(0, spread**0.5).log_prob(x_1) - Normal(0, 1).log_prob(noise)
    nats = told - density.flatten(1).sum(1) - x_0[0].numel() / 2 * math.log(1 - alpha_bar)
    assert report.bits == pytest.approx(float(nats.mean()) / x_0[0].numel() / math.log(2), abs=2e-3)
    assert (report.images, report.probes, report.conditional) == (4, 2, False)


def test_that_the_flow_needs_no_more_bits_than_the_bound_of_the_same_model(pictures, tmp_path):
    """Of a denoiser that is exact for some data, whatever the images; within two standard errors."""
    images, numbers = begin(tmp_path / "run", tiny_config(pictures)).images, np.arange(12)
    denoiser = NetworkDenoiser(TABLES, GaussianNetwork())
    flow = measure_flow(denoiser, images, numbers, 1e-2, 1, 0, CPU)
    *_, bound = measure_bound(denoiser, images, numbers, 1, 0, CPU)
    assert flow.bits <= bound.total + 2 * math.hypot(bound.total_error, flow.error)


class Loud(GaussianNetwork):
    """One whose estimates leave the range of pixels; or are brought back into it beforehand."""

    def __init__(self, clips):
        self.clips = clips

    def predict(self, x_t, t, labels=None):
        eps = 0.6 * super().predict(x_t, t, labels).value
        level = torch.exp(torch.lerp(*(torch.log(TABLES.noise_level[k]) for k in _around(t)), t.double() % 1))
        root = (1 / (1 + level**2)).sqrt().view(-1, 1, 1, 1)
        noise = (1 - root**2).sqrt()
        x0_hat = (x_t - noise * eps) / root
        return Output(((x_t - root * x0_hat.clamp(-1, 1)) / noise if self.clips else eps).to(x_t.dtype))


def _around(t):
    low = t.long().clamp(1, TABLES.steps)
    return low, (low + 1).clamp(max=TABLES.steps)


def test_that_the_flow_reads_the_image_clipped_as_the_bound_does(pictures, tmp_path):
    images = begin(tmp_path / "run", tiny_config(pictures)).images
    loud, clipped = (
        measure_flow(NetworkDenoiser(TABLES, Loud(clips)), images, np.arange(3), 1e-2, 1, 0, CPU)
        for clips in (False, True)
    )
    assert loud.bits == pytest.approx(clipped.bits, abs=2e-3)


def test_that_a_tolerance_that_cannot_be_met_is_refused_in_a_sentence(pictures, tmp_path, monkeypatch):
    images = begin(tmp_path / "run", tiny_config(pictures)).images
    monkeypatch.setattr(flow_bits, "MOST_STEPS", 2)
    said = r"The flow of 3 of 3 images could not be followed within 0\.001 bits per dimension in 2 steps"
    with pytest.raises(Refused, match=said):
        measure_flow(NetworkDenoiser(TABLES, GaussianNetwork()), images, np.arange(3), 1e-3, 1, 0, CPU)


def test_that_a_run_is_measured_along_its_flow_and_remembers_it(pictures, tmp_path):
    from diffusion_studio.engine.evaluation.evaluation import Evaluated, evaluate
    from diffusion_studio.engine.jobs.control import Control

    finish(begin(tmp_path / "run", tiny_config(pictures, T=6, held_out=0.3)))
    spec = EvaluationSpec(elbo=False, quality=False, flow=True, tolerance=0.1, images=2)
    *_, told = evaluate(tmp_path / "run", spec, CPU, Control())
    assert isinstance(told, Evaluated) and told.evaluation.flow is not None
    assert np.isfinite(told.evaluation.flow.bits)
    assert "along the flow" in flow_line(told.evaluation.flow, "held-out")
    kept = read_evaluation(Run.open(tmp_path / "run"))
    assert kept is not None and kept["flow"]["bits"] == told.evaluation.flow.bits
    assert kept["elbo"] is None


def test_that_what_was_measured_before_errors_were_told_is_read(pictures, tmp_path):
    run = begin(tmp_path / "run", tiny_config(pictures)).run
    flow = {"images": 2, "bits": 4.5, "error": 0.1, "tolerance": 0.01, "probes": 1, "conditional": False}
    kept = {"run": "run", "step": 0, "held_out": False, "flow": flow}
    (run.path / "evaluation.json").write_text(json.dumps(kept))
    found = read_evaluation(run)
    assert found is not None and found["flow"]["bits"] == 4.5 and found["flow"]["within"] is None

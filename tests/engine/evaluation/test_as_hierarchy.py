"""A diffusion run is measured as the hierarchy that it is."""

from __future__ import annotations

import pytest
import torch

from diffusion_studio.core.objective.elbo import bits_per_dim, prior_term
from diffusion_studio.engine.evaluation.as_hierarchy import AsHierarchy, as_hierarchy
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.run import Run, RunError
from diffusion_studio.engine.training.run_data import load_run_data
from diffusion_studio.engine.training.trainer import train
from support.codes import code_config, trained_in
from support.tiny import CPU, begin, tiny_config


def test_that_both_decompositions_are_measured(tmp_path):
    list(train(begin(tmp_path / "run", tiny_config(T=20)), Control()))
    *told, found = as_hierarchy(tmp_path / "run", 6, 0, CPU)
    assert told[-1] == (20, 20)
    assert isinstance(found, AsHierarchy)
    assert (found.levels, found.images) == (20, 6)
    assert found.total == pytest.approx(found.reconstruction + found.matching + found.prior)
    assert found.triples == pytest.approx(found.total, rel=0.2)
    run = Run.open(tmp_path / "run")
    data = load_run_data(run)
    chosen = data.trained[torch.linspace(0, len(data.trained) - 1, 6).long().numpy()]
    x = torch.from_numpy(data.images.images[chosen]).double() / 127.5 - 1
    prior = bits_per_dim(prior_term(run.config.diffusion.tables(), x), 64)
    assert found.prior == pytest.approx(float(prior.mean()), abs=1e-9)


def test_that_an_autoencoder_is_no_diffusion_run(tmp_path):
    trained_in(tmp_path / "vae", code_config("vae", training__steps=1))
    with pytest.raises(RunError, match="of the kind vae"):
        next(as_hierarchy(tmp_path / "vae", 4, 0, CPU))

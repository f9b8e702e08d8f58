"""A diffusion run is measured as the hierarchy that it is."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from diffusion_studio.core.describe import with_value
from diffusion_studio.core.objective.elbo import bits_per_dim, prior_term
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.evaluation.as_hierarchy import AsHierarchy, as_hierarchy, newest_measurable
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.run import Run, RunError
from diffusion_studio.engine.training.run_data import load_run_data
from diffusion_studio.engine.training.trainer import train
from support.codes import code_config, trained_in
from support.tiny import CPU, begin, finish, tiny_config, write_pictures


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


def test_that_it_is_measured_on_the_images_of_a_folder_that_is_kept_apart(tmp_path):
    write_pictures(tmp_path / "set" / "train")
    write_pictures(tmp_path / "set" / "test", each=1, seed=2)
    finish(begin(tmp_path / "run", tiny_config(tmp_path / "set", T=4)))
    *_, found = as_hierarchy(tmp_path / "run", 6, 0, CPU)
    assert found.images == 3


def test_that_the_newest_run_that_can_be_measured_is_found(tmp_path):
    finish(begin(tmp_path / "small", tiny_config(T=4)))
    finish(begin(tmp_path / "large", with_value(tiny_config(T=4), "data.resolution", 16)))
    begin(tmp_path / "unsaved", tiny_config(T=4))
    shutil.copytree(tmp_path / "small", tmp_path / "coded")
    config = tmp_path / "coded" / "config.json"
    content = json.loads(config.read_text(encoding="utf-8"))
    content["config"]["model"]["code"] = "some code"
    config.write_text(json.dumps(content), encoding="utf-8")
    assert Run.open(config.parent).config.model.code
    assert newest_measurable(tmp_path, (1, 8, 8)) == tmp_path / "small"
    assert newest_measurable(tmp_path, (1, 16, 16)) == tmp_path / "large"
    assert newest_measurable(tmp_path, None) == tmp_path / "large"
    with pytest.raises(Refused, match="No diffusion run here can be measured"):
        newest_measurable(tmp_path, (3, 8, 8))


def test_that_an_autoencoder_is_no_diffusion_run(tmp_path):
    trained_in(tmp_path / "vae", code_config("vae", training__steps=1))
    with pytest.raises(RunError, match="of the kind vae"):
        next(as_hierarchy(tmp_path / "vae", 4, 0, CPU))

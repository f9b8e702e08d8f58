"""A chain in a code: its states are codes, its estimates are seen and saved as pictures."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers import DDIM
from diffusion_studio.core.steps.clipping import Unclipped
from diffusion_studio.data.imageset import to_uint8
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.export import run_chain, save_samples, save_trajectory
from diffusion_studio.engine.chains.neighbours import nearest, remembered
from diffusion_studio.engine.chains.reconstruction import reconstructions
from diffusion_studio.engine.chains.records import rough_picture
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import open_source, training_images
from diffusion_studio.engine.chains.starts import InvertedStart, NoisedStart
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.classifier.data import classifier_data
from diffusion_studio.engine.evaluation.evaluation import Evaluated, EvaluationSpec, evaluate
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.run import Run
from support.coded import coded_run
from support.tiny import CPU, only

STEPS = 6


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path, code = coded_run(tmp_path_factory.mktemp("coded"))
    for each in sorted(code.rglob("*"), reverse=True):  # a run has all that it needs
        each.unlink() if each.is_file() else each.rmdir()
    return path


@pytest.fixture(scope="module")
def source(run):
    return open_source(run, CPU)


def chain_of(source, **values) -> Chain:
    return Chain(source, SampleSpec(sampler=DDIM(), steps=STEPS, count=3, **values), CPU)


def record_of(source, **values) -> Trajectory:
    record = Trajectory(chain_of(source, **values))
    for _ in record.compute():
        pass
    return record


def decoded(source, z) -> np.ndarray:
    pictures = source.code.network.decode(torch.from_numpy(z) * source.code.spread + source.code.mean).sample
    return to_uint8(pictures.detach().numpy()).transpose(0, 2, 3, 1)


def test_that_a_source_knows_pictures_and_codes(source):
    assert (source.sides, source.channels) == ((16, 16), 1)
    assert source.shape(5) == (5, 3, 4, 4)
    assert isinstance(chain_of(source).clip, Unclipped)


def test_that_samples_are_pictures(source):
    samples = run_chain(chain_of(source), keep=True)
    assert samples.samples.shape == (3, 1, 16, 16)
    assert samples.x_t[-1].shape == (3, 3, 4, 4)
    found = to_uint8(samples.samples).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, decoded(source, samples.x_t[-1]), atol=1)


@pytest.mark.parametrize("view", ["x0_hat", "x_t", "eps_hat", "score", "change", "unguided"])
def test_that_estimates_are_decoded_and_the_rest_are_code_maps(view, source):
    record = record_of(source, guidance=2.0)
    pictures = record.picture(view, 2)
    assert pictures.dtype == np.uint8
    if view in ("x0_hat", "unguided"):
        np.testing.assert_array_equal(pictures, decoded(source, record.values(view, 2)))
    else:
        assert pictures.shape == (3, 4, 4, 3)  # three channels are seen as colours


def test_that_the_window_never_decodes_but_wishes(source, monkeypatch):
    record = record_of(source)
    first = record.picture("x0_hat", 1)
    with monkeypatch.context() as patched:
        patched.setattr(type(source), "pictures", lambda *_: pytest.fail("decoded on the window's thread"))
        np.testing.assert_array_equal(record.seen("x0_hat", 1), first)
        assert record.decoded.wished is None
        np.testing.assert_array_equal(record.seen("x0_hat", 4), first)  # the nearest there is
        assert record.seen("x_t", 4).shape == (3, 4, 4, 3)
        assert not record.knows("x0_hat", 4) and record.decoded.wished == ("x0_hat", 4)
    record.picture(*record.decoded.wished)
    assert record.knows("x0_hat", 4) and record.decoded.wished is None
    np.testing.assert_array_equal(record.seen("x0_hat", 4), record.picture("x0_hat", 4))


def test_that_a_rough_first_picture_is_decoded(source):
    record = Trajectory(Chain(source, SampleSpec(steps=40, count=3), CPU))
    assert rough_picture(record, 5, "x0_hat").shape == (3, 16, 16, 1)


def test_that_branches_and_images_of_ones_own_work(source, run):
    file = str(sorted((run.parent / "zoo").rglob("*.png"))[0])
    for start in (NoisedStart(images=(file,)), InvertedStart(images=(file,))):
        parent = record_of(source, start=start)
        branch = Trajectory(chain_of(source, seed=3), parent=parent, leaves=2)
        for _ in branch.compute():
            pass
        assert branch.picture("x0_hat", branch.steps).shape == (3, 16, 16, 1)
    found = [each for each in reconstructions(chain_of(source, start=InvertedStart(images=(file,)))) if each]
    assert all(np.isfinite(each.errors).all() for each in found)


def test_that_neighbours_are_looked_for_among_pictures(source, run):
    record, images = record_of(source), training_images(str(run))
    seen = remembered(record, 2, images, 2)
    assert seen.shape == (2, 1, 16, 16)
    assert nearest(seen, images).distances.shape == (2, 3)


@pytest.mark.parametrize("suffix", [".png", ".gif", ".npz"])
def test_that_chains_are_saved(suffix, source, tmp_path):
    save_trajectory(tmp_path / f"a{suffix}", record_of(source), "x0_hat", 2, {})
    save_samples(tmp_path / f"b{suffix}", run_chain(chain_of(source), keep=True), {}, suffix == ".npz")
    assert (tmp_path / f"a{suffix}").stat().st_size and (tmp_path / f"b{suffix}").stat().st_size


def test_that_no_bound_of_pixels_is_made_up(run):
    told = list(evaluate(run, EvaluationSpec(images=4, draws=1, samples=64), CPU, Control()))
    (found,) = only(told, Evaluated)
    assert found.evaluation.elbo is None and found.evaluation.quality is not None
    assert any("is one of codes, not of pixels" in note for note in found.notes)
    with pytest.raises(Refused, match="is one of codes, not of pixels"):
        list(evaluate(run, EvaluationSpec(quality=False), CPU, Control()))


def test_that_a_classifier_of_noisy_images_is_refused(run):
    with pytest.raises(Refused, match="reads pixels"):
        classifier_data(Run.open(run))


def test_that_a_code_that_is_gone_or_another_one_is_refused(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "code" / "code.json").write_text('{"mean": [0], "spread": [1]}')
    with pytest.raises(Refused, match="is not a number for each channel"):
        open_source(tmp_path / "run", CPU)
    shutil.rmtree(tmp_path / "run" / "code")
    with pytest.raises(Refused, match="code is missing"):
        open_source(tmp_path / "run", CPU)

"""Autoencoders are tasks of the one loop: they pause, go on bit for bit and survive a kill."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_studio.core.describe import with_value, with_values
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.autoencoder.events import BoundTold, Looked, WeightChanged
from diffusion_studio.engine.autoencoder.model import open_model
from diffusion_studio.engine.autoencoder.session import CodeSession, new_session, resumed_session, train
from diffusion_studio.engine.autoencoder.task import AutoencoderTask, KlWeight
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.creation import create_run
from diffusion_studio.engine.runs.run import Run, kind_of, list_runs
from diffusion_studio.engine.training.batches import DataOrder
from support.codes import CPU, code_config, spectrum_images, trained_in

KINDS = ("ae", "vae", "hvae")


def same(one: AutoencoderTask, other: AutoencoderTask) -> bool:
    pairs = zip(one.state().tensors.values(), other.state().tensors.values(), strict=True)
    return all(torch.equal(a[name], b[name]) for a, b in pairs for name in a)


def test_that_both_terms_of_each_step_are_told_but_not_with_each_loss(tmp_path, monkeypatch):
    monkeypatch.setattr("diffusion_studio.engine.loop.loop.TELL_EVERY", 0.0)
    monkeypatch.setattr("diffusion_studio.engine.autoencoder.task.TERMS_EVERY", float("inf"))
    _, told = trained_in(tmp_path / "run", code_config("vae"))
    terms = [event for event in told if isinstance(event, BoundTold)]
    assert [(e.first_step, len(e.reconstruction), len(e.kl)) for e in terms] == [(1, 1, 1), (2, 19, 19)]
    losses = np.concatenate([event.losses for event in told if isinstance(event, events.Progress)])
    both = np.concatenate([event.reconstruction + event.kl for event in terms])
    assert np.allclose(losses, both)


@pytest.mark.parametrize("kind", KINDS)
def test_that_a_run_is_trained_and_opens(kind, tmp_path):
    session, told = trained_in(tmp_path / "run", code_config(kind))
    assert told[-1] == events.Finished("done", "Step 20, everything is saved.", step=20)
    steps = np.concatenate([e.reconstruction for e in told if isinstance(e, BoundTold)])
    assert len(steps) == 20
    looked = [e for e in told if isinstance(e, Looked)][-1]
    assert looked.step == 20
    assert looked.originals.shape == looked.reconstructions.shape
    assert len(looked.kl) == {"ae": 0, "vae": 3, "hvae": 2}[kind]
    again = looked.model.reconstructed(looked.originals.transpose(0, 3, 1, 2)).astype(int)
    drawn = looked.model.samples(len(looked.samples), session.run.config.seed).astype(int)
    assert np.abs(again - looked.reconstructions).max() <= 1  # they were decoded together with others
    assert np.abs(drawn - looked.samples).max() <= 1
    model = open_model(tmp_path / "run", CPU)
    images = session.images.images[:4]
    assert np.array_equal(
        model.decoded(model.codes(images)), looked.model.decoded(looked.model.codes(images))
    )
    assert kind_of(tmp_path / "run") == kind
    assert list_runs(tmp_path, kind) == [tmp_path / "run"]
    assert list_runs(tmp_path, "diffusion") == []


@pytest.mark.parametrize("kind", KINDS)
def test_that_a_pause_changes_nothing(kind, tmp_path):
    control = Control()
    control.pause()
    paused, told = trained_in(tmp_path / "paused", code_config(kind), control)
    assert any(isinstance(event, events.Paused) for event in told)
    assert same(paused.task, trained_in(tmp_path / "plain", code_config(kind))[0].task)


@pytest.mark.parametrize("kind", KINDS)
def test_that_a_stopped_one_goes_on_bit_for_bit(kind, tmp_path):
    config, control = code_config(kind, training__checkpoint_every=7), Control()
    session = new_session(tmp_path / "run", config, CPU, control)
    for event in train(session):
        if isinstance(event, events.Saved) and event.step == 7:
            control.stop()
    assert 7 <= Run.open_as(tmp_path / "run", AutoencoderConfig).step < 20
    resumed = trained_in(tmp_path / "run", config)[0]
    assert same(resumed.task, trained_in(tmp_path / "plain", code_config(kind))[0].task)


def test_that_a_killed_one_goes_on_bit_for_bit(tmp_path):
    command = [sys.executable, __file__, str(tmp_path / "run")]
    places = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    environment = os.environ | {"PYTHONPATH": places}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert any(line.startswith("Saved 20") for line in process.stdout)
        process.kill()
    kept = Run.open_as(tmp_path / "run", AutoencoderConfig).step
    assert kept >= 20
    one, other = endless(), endless()
    resumed = limited(tmp_path / "run", one, kept + 15)
    assert same(resumed.task, limited(tmp_path / "plain", other, kept + 15).task)


def test_that_a_training_asks_again_and_again_whether_other_programs_are_beside(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "diffusion_studio.engine.autoencoder.session.work_as_is_fastest", lambda: asked.append(1)
    )
    _, told = trained_in(tmp_path / "run", code_config("vae"))
    assert len(asked) > len(told) / 2  # between its events


@pytest.mark.parametrize("size", [16, 15, 4096], ids=["several at once", "no whole lines", "one"])
def test_that_the_images_of_a_step_are_those_of_its_place_in_the_data(size):
    images = spectrum_images()
    config = code_config(training__batch_size=size)
    task = AutoencoderTask(config, images, np.arange(images.count), CPU, Control())
    order = DataOrder(images.count, config.seed)
    for number in (0, 1, 255, 256, 257, 3, 700):
        expected = images.images[order.slice(number * size, size)] / np.float32(127.5) - 1
        assert np.array_equal(task._batch(number).numpy(), expected), number


def test_that_losses_that_are_no_numbers_pause_it_and_change_nothing(tmp_path):
    control = Control()
    session = new_session(tmp_path / "run", code_config(training__steps=0), CPU, control)
    batch, paused = session.task._batch, []
    session.task._batch = lambda number: batch(number) * (1 if paused or number < 10 else float("nan"))
    for event in train(session):
        if isinstance(event, events.Paused):
            paused.append(event.reason)
            control.resume()
        elif isinstance(event, BoundTold) and paused:
            control.stop()
    assert "not a number" in paused[0]
    assert all(bool(torch.isfinite(w).all()) for w in session.task.average.parameters())


def test_that_a_failure_is_told_with_what_is_kept(tmp_path):
    session = new_session(tmp_path / "run", code_config(training__checkpoint_every=5), CPU, Control())
    terms = session.task.terms

    def full(x: torch.Tensor):
        if session.counters.step == 12:
            raise torch.OutOfMemoryError("no room")
        return terms(x)

    session.task.terms = full
    told = list(train(session))
    assert told[-1].outcome == "failed"
    assert told[-1].smaller_batch == 8
    assert Run.open_as(tmp_path / "run", AutoencoderConfig).step == 12


def test_that_the_weight_of_the_divergence_changes_while_it_trains(tmp_path):
    control = Control()
    session = new_session(tmp_path / "run", code_config(training__steps=60), CPU, control)
    changed = []
    for event in train(session):
        if isinstance(event, events.Progress) and not changed:
            control.ask(KlWeight(3.5))
        if isinstance(event, WeightChanged):
            changed.append(event.kl_weight)
    assert changed == [3.5]
    assert Run.open_as(tmp_path / "run", AutoencoderConfig).config.kl_weight == 3.5


def test_that_a_code_larger_than_the_images_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(Refused, match="larger than the images, which have 64 each"):
        new_session(tmp_path / "run", code_config(code__size=65), CPU, Control())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["ae", "vae"])
def test_that_the_code_of_an_autoencoder_kl_is_one_of_diffusers(kind, tmp_path):
    from diffusers import AutoencoderKL

    config = code_config(kind, code__network="kl", code__channels=2, code__width=64, training__steps=3)
    session, told = trained_in(tmp_path / "run", config)
    assert told[-1].outcome == "done"
    assert session.run.config.code.size == 2 * 2 * 2
    model = open_model(tmp_path / "run", CPU)
    images = session.images.images[:3]
    assert model.codes(images).shape == (3, 8)
    checkpoint, _ = Run.open_as(tmp_path / "run", AutoencoderConfig).newest_checkpoint()
    theirs = AutoencoderKL.from_pretrained(checkpoint, subfolder="vae", local_files_only=True)
    with torch.inference_mode():
        x = model.pixels(images)
        codes = theirs.encode(x).latent_dist
        mean = codes.mean
        assert (float(codes.std.max()) < 1e-6) == (kind == "ae")
        torch.testing.assert_close(mean.flatten(1), torch.from_numpy(model.codes(images)))
        torch.testing.assert_close(theirs.decode(mean).sample, model.network.decode(mean.flatten(1)))


@pytest.mark.parametrize(("asked", "side"), [(0, 8), (8, 8)])
def test_that_a_side_that_nobody_asked_for_is_one_that_the_factor_divides(asked, side, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(6):
        Image.fromarray(np.full((10, 10), 20 * number, np.uint8)).save(folder / f"{number}.png")
    config = code_config("vae", code__network="kl", code__channels=2, data__source=str(folder))
    config = with_value(config, "data.resolution", asked)
    session = new_session(tmp_path / "run", config, CPU, Control())
    assert session.images.resolution == session.run.config.data.resolution == side
    with pytest.raises(Refused, match="4 does not divide the resolution 10"):
        new_session(tmp_path / "other", with_value(config, "data.resolution", 10), CPU, Control())


def test_that_what_cannot_be_is_refused_in_a_sentence():
    kl = code_config("vae", code__network="kl", code__factor=8)
    with pytest.raises(Refused, match="8 does not divide the resolution 12"):
        kl.check_images((3, 12, 12))
    with pytest.raises(Refused, match="AutoencoderKL has one level"):
        code_config("hvae", code__network="kl")
    colour = (3, 8, 8)
    with pytest.raises(Refused, match="Bernoulli decoder knows only black and white"):
        code_config("vae", decoder__kind="bernoulli").check_images(colour)
    with pytest.raises(Refused, match="greater than 0"):
        code_config("vae", decoder__variance=0)
    for kind in ("gaussian", "learned"):
        with pytest.raises(Refused, match="far finer than the steps of pixels"):
            code_config("vae", decoder__kind=kind, decoder__variance=1e-18)
    with pytest.raises(Refused, match="A level of 4000 numbers is larger than the images, which have 64"):
        code_config("hvae", hierarchy__sizes=(8, 4000)).check_images((1, 8, 8))
    with pytest.raises(Refused, match="3 levels but one size"):
        code_config("hvae", hierarchy__levels=3, hierarchy__sizes=(16,))
    with pytest.raises(Refused, match="must have the image's dimension"):
        code_config("hvae", hierarchy__fixed_encoder=True)
    with pytest.raises(Refused, match="Only a fixed encoder can be made to end"):
        code_config("hvae", hierarchy__standard_end=True)
    wide = code_config("hvae", hierarchy__same_dimension=True)
    with pytest.raises(Refused, match="at most 3,072 numbers"):
        wide.check_images((3, 64, 64))


@pytest.mark.parametrize(
    "changes",
    [{"code.width": 2048, "data.resolution": 512}, {"code.network": "conv"}, {"code.size": 1024},
     {"data.channels": 3}],
    ids=str,
)  # fmt: skip
def test_that_a_config_of_another_network_is_found_out_before_one_is_built(changes, tmp_path, monkeypatch):
    session, _ = trained_in(tmp_path / "run", code_config("vae", training__steps=1))
    Run(tmp_path / "run", with_values(session.run.config, list(changes.items()))).write_config()
    monkeypatch.setattr("diffusion_studio.engine.autoencoder.model.build_network", None)
    with pytest.raises(Refused, match="do not fit their config"):
        open_model(tmp_path / "run", CPU)


def endless() -> AutoencoderConfig:
    return code_config(training__steps=0, training__checkpoint_every=10)


def limited(path: Path, config: AutoencoderConfig, last: int) -> CodeSession:
    """Trained up to a step, without a limit that the learning rate would fall to."""
    control = Control()
    session = (
        resumed_session(path, CPU, control) if path.exists() else new_session(path, config, CPU, control)
    )
    step = session.task.step

    def counted(number: int, share: float) -> torch.Tensor:
        if number == last - 1:
            control.stop()
        return step(number, share)

    session.task.step = counted
    assert list(train(session))[-1].step == last
    return session


def test_that_a_run_of_another_kind_is_refused_by_what_is_wanted(tmp_path: Path) -> None:
    create_run(tmp_path / "run", RunConfig(), {})
    with pytest.raises(Refused, match="of the kind diffusion, not autoencoder"):
        Run.open_as(tmp_path / "run", AutoencoderConfig)


if __name__ == "__main__":  # the one that is killed: it trains without an end
    for event in train(new_session(Path(sys.argv[1]), endless(), CPU, Control())):
        print(type(event).__name__, getattr(event, "step", ""), flush=True)

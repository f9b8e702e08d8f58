"""Diffusion in a code: the images are encoded once, and the one loop learns what they became."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from diffusion_studio.core.describe import with_values
from diffusion_studio.core.process.spacing import TrailingSpacing
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers import DDIM
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.data.imageset import to_model_range, to_uint8
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.export import run_chain
from diffusion_studio.engine.chains.sample_spec import EVERY_CLASS, SampleSpec
from diffusion_studio.engine.chains.source import open_source
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training import codes
from diffusion_studio.engine.training.codes import encoded, find_code, list_codes, multiple_of
from diffusion_studio.engine.training.events import Preview
from diffusion_studio.engine.training.previews import STEPS
from diffusion_studio.engine.training.run_data import images_of
from diffusion_studio.engine.training.session import new_session
from diffusion_studio.engine.training.trainer import train
from diffusion_studio.engine.training.trial import tried
from support.coded import autoencoder_of, coded_config
from support.tiny import (
    CPU,
    begin,
    differing,
    everything,
    finish,
    only,
    resume,
    tiny_config,
    with_training,
    write_pictures,
)


@pytest.fixture
def zoo(tmp_path):
    return write_pictures(tmp_path / "zoo", each=8)


@pytest.fixture
def code(zoo, tmp_path):
    return autoencoder_of(zoo, tmp_path / "autoencoder")


def test_that_a_run_learns_standardised_codes_and_shows_pictures(zoo, code, tmp_path):
    session = begin(tmp_path / "run", coded_config(zoo, code, preview_count=3, preview_share=0.5))
    assert session.batches.examples.shape == (3, 4, 4)
    z = session.batches.examples.batch(np.arange(24), None)
    assert z.mean((0, 2, 3)).abs().max() < 1e-2
    assert (z.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-2
    told = finish(session)
    assert told[-1].outcome == "done"
    assert only(told, Preview)[-1].images.shape == (3, 16, 16, 1)
    run = Run.open(tmp_path / "run")
    assert {path.name for path in (run.path / "code").iterdir()} == {
        "config.json", "code.json", "diffusion_pytorch_model.safetensors",
    }  # fmt: skip


def test_that_a_preview_is_what_a_chain_draws_of_the_same_weights(zoo, code, tmp_path):
    """Codes have no range that an estimate could be clipped to."""
    session = begin(tmp_path / "run", coded_config(zoo, code, preview_count=6))
    told = finish(session)
    spec = SampleSpec(sampler=DDIM(), spacing=TrailingSpacing(), steps=STEPS, count=6, label=EVERY_CLASS)
    samples = run_chain(Chain(open_source(session.run.path, CPU), spec, CPU), keep=True)
    assert float(np.abs(samples.x0_hat).max()) > 2
    expected = to_uint8(samples.samples).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(only(told, Preview)[-1].images, expected, atol=1)


def test_that_codes_are_those_of_the_network(zoo, code, tmp_path):
    session = begin(tmp_path / "run", coded_config(zoo, code))
    x = torch.from_numpy(to_model_range(session.images.images[[5, 2]]))
    there = session.code.encode(x)
    torch.testing.assert_close(
        session.batches.examples.batch(np.array([5, 2]), None), there, rtol=0, atol=5e-3
    )
    raw = session.code.network.encode(x).latent_dist.mean
    torch.testing.assert_close(session.code.decode(there), session.code.network.decode(raw).sample)


def test_that_mirrored_images_have_codes_of_their_own(zoo, code, tmp_path):
    config = coded_config(zoo, code, flip=True)
    session = begin(tmp_path / "run", config)
    x = torch.from_numpy(to_model_range(session.images.images[:2])).flip(3)
    found = session.batches.examples.batch(np.arange(2), torch.tensor([True, True]))
    torch.testing.assert_close(found, session.code.encode(x), rtol=0, atol=5e-3)
    assert finish(session)[-1].outcome == "done"


def test_that_a_stopped_one_goes_on_bit_for_bit_without_its_autoencoder(zoo, code, tmp_path):
    whole = begin(tmp_path / "whole", coded_config(zoo, code, steps=6))
    finish(whole)
    finish(begin(tmp_path / "half", coded_config(zoo, code, steps=3)))
    shutil.rmtree(code)
    again = resume(tmp_path / "half", with_training(Run.open(tmp_path / "half").config, steps=6))
    assert again.counters.step == 3
    finish(again)
    assert differing(everything(whole), everything(again)) == []


def test_that_a_pause_changes_nothing(zoo, code, tmp_path):
    config, control = coded_config(zoo, code), Control()
    whole, paused = begin(tmp_path / "whole", config), begin(tmp_path / "paused", config)
    finish(whole)
    control.pause()
    for event in train(paused, control):
        if isinstance(event, events.Paused):
            control.resume()
    assert differing(everything(whole), everything(paused)) == []


def test_that_losses_that_are_not_numbers_end_it_and_nothing_bad_is_saved(zoo, code, tmp_path):
    session = begin(tmp_path / "run", coded_config(zoo, code))
    with torch.no_grad():
        next(session.learner.unet.parameters()).fill_(float("nan"))
    told = finish(session)
    assert told[-1].outcome == "failed"
    with pytest.raises(Refused, match="no usable checkpoint"):
        Run.open(tmp_path / "run").newest_checkpoint()


def test_that_too_little_memory_keeps_what_was_learned(zoo, code, tmp_path, monkeypatch):
    session = begin(tmp_path / "run", coded_config(zoo, code, steps=4))
    step = session.learner.step

    def full(batch, number):
        if number == 2:
            raise torch.OutOfMemoryError("no room")
        return step(batch, number)

    monkeypatch.setattr(session.learner, "step", full)
    told = finish(session)
    assert (told[-1].outcome, told[-1].parts) == ("failed", 2)  # the same step with less at a time
    assert Run.open(tmp_path / "run").step == 2
    resumed = resume(tmp_path / "run")
    assert finish(resumed)[-1].outcome == "done"
    whole = begin(tmp_path / "whole", coded_config(zoo, code, steps=4))
    finish(whole)
    assert differing(everything(whole), everything(resumed)) == []


def test_that_a_killed_one_goes_on_bit_for_bit(zoo, code, tmp_path):
    """Killed where a step was just saved, in a process of its own."""
    command = [sys.executable, __file__, str(zoo), str(code), str(tmp_path / "run")]
    places = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    environment = os.environ | {"PYTHONPATH": places}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert any(line.startswith("Saved 3") for line in process.stdout)
        process.kill()
    shutil.rmtree(code)
    kept = Run.open(tmp_path / "run").step
    assert kept >= 3
    goal = with_training(Run.open(tmp_path / "run").config, steps=kept + 3)
    resumed = resume(tmp_path / "run", goal)
    finish(resumed)
    code = tmp_path / "run" / "code"  # what the run keeps of it is enough
    whole = begin(tmp_path / "whole", coded_config(zoo, code, steps=kept + 3))
    finish(whole)
    assert differing(everything(whole), everything(resumed)) == []


def test_that_images_are_encoded_once(zoo, code, tmp_path, monkeypatch):
    begin(tmp_path / "one", coded_config(zoo, code))
    monkeypatch.setattr(codes._Pieces, "_of", lambda *_: pytest.fail("encoded again"))
    begin(tmp_path / "two", coded_config(zoo, code))
    resume(tmp_path / "one")


def test_that_interrupted_encoding_goes_on_where_it_was(zoo, code, tmp_path, monkeypatch):
    monkeypatch.setattr(codes, "PIECE", 5)
    told = []
    with pytest.raises(Cancelled):
        new_session(
            tmp_path / "run", coded_config(zoo, code), CPU, None, lambda: len(told) == 2,
            lambda done, total: told.append((done, total)),
        )  # fmt: skip
    assert told == [(5, 24), (10, 24)]
    assert not (tmp_path / "run").exists()
    session = new_session(
        tmp_path / "run", coded_config(zoo, code), CPU, None, None,
        lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told[2:] == [(15, 24), (20, 24), (24, 24)]
    whole = encoded(session.images.some(np.arange(24)), find_code(str(code), CPU).code, False)
    again = np.concatenate(
        list(codes._Pieces(session.images, session.code, (1, 24, 3, 4, 4), None, None).codes(0))
    )
    np.testing.assert_array_equal(whole[0], again)


@pytest.mark.parametrize("kind", ["ae", "vae"])
def test_that_any_folder_of_an_autoencoder_is_a_code(kind, zoo, tmp_path):
    made = autoencoder_of(zoo, tmp_path / "made", kind)
    checkpoint = sorted((made / "checkpoints").iterdir())[-1]
    shutil.copytree(checkpoint / "vae", tmp_path / "alone")
    shutil.copytree(checkpoint / "vae", tmp_path / "beside" / "vae")
    digests = {
        find_code(str(path), CPU).code.digest for path in (made, tmp_path / "alone", tmp_path / "beside")
    }
    assert len(digests) == 1
    assert finish(begin(tmp_path / "run", coded_config(zoo, tmp_path / "alone")))[-1].outcome == "done"


def test_that_a_run_in_a_code_lends_its_code(zoo, code, tmp_path):
    begin(tmp_path / "one", coded_config(zoo, code))
    session = begin(tmp_path / "two", coded_config(zoo, tmp_path / "one"))
    assert session.code.name == "autoencoder"


# --- what cannot be -----------------------------------------------------------------------------------------


def refusal(place, config) -> str:
    with pytest.raises(Refused) as caught:
        begin(place, config)
    assert not place.exists()
    return str(caught.value)


def test_that_a_code_of_other_images_is_refused(zoo, code, tmp_path):
    other = write_pictures(tmp_path / "other", each=8, seed=2)
    assert "was learned from the images in" in refusal(tmp_path / "run", coded_config(other, code))


def test_that_images_added_to_the_folder_of_a_code_are_no_reason(zoo, code, tmp_path):
    write_pictures(zoo, ("dog",), each=2)
    assert begin(tmp_path / "run", coded_config(zoo, code)).images.count == 26


def test_that_a_code_of_other_channels_is_refused(zoo, code, tmp_path):
    config = coded_config(zoo, code)
    colour = config.model_copy(update={"data": config.data.model_copy(update={"channels": 3})})
    assert "is one of grey images, and these are colour" in refusal(tmp_path / "run", colour)


def test_that_a_resolution_that_the_factor_does_not_divide_is_refused(zoo, tmp_path):
    code = autoencoder_of(zoo, tmp_path / "eight", code__factor=8, code__channels=2)
    config = coded_config(zoo, code)
    for side in (20, 8):
        odd = config.model_copy(update={"data": config.data.model_copy(update={"resolution": side})})
        assert f"does not divide the resolution {side}" in refusal(tmp_path / "run", odd)


def test_that_a_side_that_nobody_asked_for_is_one_that_the_factor_divides(tmp_path):
    folder = write_pictures(tmp_path / "pictures", side=18)
    code = autoencoder_of(folder, tmp_path / "autoencoder", data__resolution=0)
    config = with_values(coded_config(folder, code), [("data.resolution", 0)])
    session = begin(tmp_path / "run", config)
    assert session.images.resolution == session.config.data.resolution == 16
    assert session.batches.examples.shape == (3, 4, 4)


def test_that_what_a_code_divides_is_known_from_its_files_alone(zoo, code, tmp_path):
    checkpoint = sorted((code / "checkpoints").iterdir())[-1]
    begin(tmp_path / "run", coded_config(zoo, code))
    eight = autoencoder_of(zoo, tmp_path / "eight", code__factor=8, code__channels=2)
    finish(begin(tmp_path / "pixels", tiny_config(zoo, steps=1)))
    places = (code, checkpoint, checkpoint / "vae", tmp_path / "run", eight)
    assert [multiple_of(str(place)) for place in places] == [4, 4, 4, 4, 8]
    assert [find_code(str(place), torch.device("cpu")).code.factor for place in places] == [4, 4, 4, 4, 8]
    others = ("", str(tmp_path / "nowhere"), str(tmp_path / "pixels"))
    assert [multiple_of(name) for name in others] == [1, 1, 1]


def test_that_of_images_read_before_only_those_of_a_fitting_side_are_shown(tmp_path):
    folder, shown = write_pictures(tmp_path / "pictures", side=18), []
    for _ in range(2):
        found = images_of(DataSpec(source=str(folder)), 4, None, None, shown.append)
    assert found.resolution == 16 and [images.resolution for images in shown] == [16]


def test_that_a_code_without_places_is_refused(zoo, tmp_path):
    for network in ("mlp", "linear", "conv"):
        made = autoencoder_of(zoo, tmp_path / network, code__network=network, code__size=3)
        assert "have no places in the image" in refusal(tmp_path / "run", coded_config(zoo, made))


def test_that_what_is_no_code_is_refused(zoo, code, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("no code")
    begin(tmp_path / "pixels", coded_config(zoo, ""))
    for name, words in (
        ("empty", "is no code"), ("file", "is no code"), ("nowhere", "There is no code at"),
        ("pixels", "is a diffusion model of pixels"),
    ):  # fmt: skip
        assert words in refusal(tmp_path / "run", coded_config(zoo, tmp_path / name))
    assert "There is no code at" in refusal(tmp_path / "run", coded_config(zoo, "~nobody-here/x"))
    shutil.rmtree(code / "checkpoints")
    assert "no usable checkpoint" in refusal(tmp_path / "run", coded_config(zoo, code))


def test_that_a_damaged_or_other_autoencoder_is_refused(zoo, code, tmp_path):
    vae = sorted((code / "checkpoints").iterdir())[-1] / "vae"
    shutil.copytree(vae, tmp_path / "copy")
    config = json.loads((tmp_path / "copy" / "config.json").read_text())
    for change, words in (
        ({"_class_name": "VQModel"}, "only AutoencoderKL can be opened"),
        ({"latent_channels": 7}, "do not fit their config"),
        ({"in_channels": 4, "out_channels": 4}, "only grey"),
        ({"block_out_channels": []}, "block_out_channels should be"),
        ({"scaling_factor": "0.18"}, "scaling_factor"),
        ({"scaling_factor": 0}, "is not a number above 0"),
        ({"block_out_channels": [64, 64, 64, 64]}, "config"),
    ):  # fmt: skip
        (tmp_path / "copy" / "config.json").write_text(json.dumps(config | change))
        assert words in refusal(tmp_path / "run", coded_config(zoo, tmp_path / "copy"))
    (tmp_path / "copy" / "config.json").write_text(json.dumps(config))
    (tmp_path / "copy" / "diffusion_pytorch_model.safetensors").write_bytes(b"nothing")
    assert "damaged" in refusal(tmp_path / "run", coded_config(zoo, tmp_path / "copy"))


def test_that_a_training_in_a_code_is_tried_beforehand(zoo, code, tmp_path):
    config = coded_config(zoo, code)
    images = begin(tmp_path / "run", config).images
    found = tried(config, images, CPU, lambda: False)
    assert found.weights > 0 and found.forecast.last_step == 4
    with pytest.raises(Refused, match="There is no code at"):
        tried(coded_config(zoo, tmp_path / "nowhere"), images, CPU, lambda: False)


def test_that_codes_of_these_images_are_listed(zoo, code, tmp_path):
    other = write_pictures(tmp_path / "other", each=8, seed=2)
    autoencoder_of(other, tmp_path / "of others")
    autoencoder_of(zoo, tmp_path / "flat", code__network="mlp", code__size=3)
    begin(tmp_path / "run", coded_config(zoo, code))
    assert list_codes(tmp_path, str(zoo)) == [(str(code), "autoencoder")]


def test_that_the_configs_of_diffusion_models_are_not_read_for_the_list_of_codes(zoo, code, tmp_path):
    begin(tmp_path / "run", coded_config(zoo, code))
    opened = Run.open_as
    with pytest.MonkeyPatch.context() as patched:
        asked: list[Path] = []
        patched.setattr(Run, "open_as", lambda path, kind: asked.append(path) or opened(path, kind))
        assert list_codes(tmp_path, str(zoo)) == [(str(code), "autoencoder")]
    assert asked == [code]


def train_without_end(zoo: str, code: str, run: str) -> None:
    """In a process of its own: every step is saved and told."""
    session = begin(Path(run), coded_config(Path(zoo), Path(code), steps=0, checkpoint_every=1))
    for event in train(session, Control()):
        if isinstance(event, events.Saved):
            print("Saved", event.step, flush=True)


if __name__ == "__main__":
    train_without_end(*sys.argv[1:])


def test_that_codes_go_where_the_disk_has_no_room_for_them(tmp_path, monkeypatch):
    for number, name in enumerate(("old", "new", "used")):
        (tmp_path / f"{name}.f16").write_bytes(b"codes")
        os.utime(tmp_path / f"{name}.f16", (number, number))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=15))
    codes._prune(tmp_path / "old.f16")
    assert len([*tmp_path.iterdir()]) == 3
    codes._prune(tmp_path / "old.f16", needed=8)
    assert {path.stem for path in tmp_path.iterdir()} == {"old", "used"}

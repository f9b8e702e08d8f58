"""Pictures of a size that the network cannot halve: learned, kept, gone on with and taken elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from diffusion_studio.core.describe import with_values
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import open_source
from diffusion_studio.engine.evaluation.exported_model import export_model
from diffusion_studio.engine.evaluation.exported_run import export_run
from diffusion_studio.engine.evaluation.measured_bound import measure_bound
from diffusion_studio.engine.runs.checkpoints import CheckpointError
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.models.unet import quiet_diffusers
from support.coded import autoencoder_of, coded_config
from support.tiny import CPU, begin, finish, resume, tiny_config, with_training, write_pictures

SIDE = 10  # the network halves twice


def config_of(pictures: Path, **changes: Any) -> RunConfig:
    config = tiny_config(pictures, **({"steps": 2, "preview_count": 4} | changes))
    return with_values(config, [("data.resolution", SIDE), ("model.multipliers", (1, 1, 2))])


def run_of(pictures: Path, path: Path, **changes: Any) -> Path:
    finish(begin(path, config_of(pictures, **changes)))
    return path


def example_of(
    model: Path, monkeypatch: pytest.MonkeyPatch, start: torch.Tensor | None = None
) -> dict[str, Any]:
    """What the example on the card of a model knows in the end; it begins at `start`, or at its own noise."""
    (code,) = re.findall(r"```python\n(.*?)```", (model / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(model.parent)
    known: dict[str, Any] = {"start": start}
    with quiet_diffusers():
        exec(code if start is None else re.sub(r"torch\.randn\(.*\)", "start", code), known)
    return known


def test_that_such_a_run_opens_at_its_own_size(pictures, tmp_path):
    source = open_source(run_of(pictures, tmp_path / "run"), CPU)
    assert source.sides == (SIDE, SIDE)
    *_, step = Chain(source, SampleSpec(steps=5, count=3), CPU).steps(0, torch.randn(3, 1, SIDE, SIDE))
    assert step.x_s.shape == (3, 1, SIDE, SIDE)


def test_that_such_a_run_goes_on_as_if_it_had_not_stopped(pictures, tmp_path):
    once = begin(tmp_path / "once", config_of(pictures, steps=4))
    finish(once)
    run_of(pictures, tmp_path / "twice")
    again = resume(tmp_path / "twice", with_training(Run.open(tmp_path / "twice").config, steps=4))
    finish(again)
    one, other = once.learner.state().raw, again.learner.state().raw
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_that_bits_are_those_of_the_pixels_alone(pictures, tmp_path):
    """Of networks that say 0 everywhere, with and without a margin."""
    found = []
    for levels in ((1, 1, 2), (1, 2)):
        config = with_values(config_of(pictures, T=8), [("model.multipliers", levels)])
        session = begin(tmp_path / str(len(levels)), config)
        for weights in session.learner.ema_unet.conv_out.parameters():
            weights.zero_()
        *_, report = measure_bound(session.learner.denoiser(), session.images, np.arange(3), 2, 5, CPU)
        found.append(report.total)
    assert found[0] == pytest.approx(found[1], rel=1e-6)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("variance", ["fixed", "hybrid"])
def test_that_the_example_on_its_card_puts_zeros_around(
    conditional, variance, pictures, tmp_path, monkeypatch
):
    objective = {"variance": variance, "predict": "v"}  # of which noise magnifies no rounding
    run = run_of(pictures, tmp_path / "run", conditional=conditional, objective=objective)
    (said,) = export_model(run, tmp_path / "model")
    assert said.startswith("It needs zeros around its input, from 10 to 12 a side")
    assert "from 10 × 10 to 12 × 12" in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    start = torch.randn(3 if conditional else 4, 1, SIDE, SIDE)
    known = example_of(tmp_path / "model", monkeypatch, start)
    assert known["images"].shape == (len(start), SIDE, SIDE, 1)
    if conditional:  # each of another class
        return
    for place in (run, tmp_path / "model"):
        network, x = open_source(place, CPU).denoiser.network, start
        for t in known["scheduler"].timesteps:
            said = network.predict(x, torch.full((4,), int(t) + 1)).value
            x = known["scheduler"].step(said, t, x).prev_sample
        torch.testing.assert_close(known["x"], x, rtol=0, atol=1e-4)


def test_that_its_onnx_takes_images_of_its_own_size(pictures, tmp_path):
    run = run_of(pictures, tmp_path / "run", conditional=False)
    export_run(run, tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx", providers=["CPUExecutionProvider"])
    x = torch.randn(5, 1, SIDE, SIDE)
    (found,) = session.run(["out_sample"], {"sample": x.numpy(), "timestep": np.full(5, 24)})
    said = open_source(run, CPU).denoiser.network.predict(x, torch.full((5,), 25)).value
    assert np.abs(found - said.detach().numpy()).max() <= 1e-5


def test_that_the_same_network_of_somebody_else_is_refused(pictures, tmp_path):
    """Whoever made it would have to say what is around: diffusers itself cannot call it."""
    export_model(run_of(pictures, tmp_path / "run"), tmp_path / "model")
    (tmp_path / "model" / "studio.json").unlink()
    with pytest.raises(CheckpointError, match="10 × 10 pixels do not go through"):
        open_source(tmp_path / "model", CPU)


def test_that_codes_get_a_margin_as_well(tmp_path, monkeypatch):
    pictures, side = write_pictures(tmp_path / "zoo", each=8), 20
    code = autoencoder_of(pictures, tmp_path / "autoencoder", data__resolution=side)
    config = coded_config(pictures, code, steps=2)  # 5 × 5 places, which the network halves once
    finish(begin(tmp_path / "run", with_values(config, [("data.resolution", side)])))
    export_model(tmp_path / "run", tmp_path / "model")
    assert open_source(tmp_path / "model", CPU).sides == (side, side)
    assert example_of(tmp_path / "model", monkeypatch)["images"].shape == (3, side, side, 1)

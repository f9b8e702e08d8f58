"""A network of another process than VP: shown its own x_t, kept and opened again as what it is."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from diffusion_studio.core.process.forward import ForwardProcess
from diffusion_studio.core.process.schedules import GeometricSchedule
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.evaluation.exported_model import export_model
from diffusion_studio.engine.runs.checkpoints import CheckpointError
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.model_io import load_model
from diffusion_studio.engine.runs.run import Run
from support.families import ready
from support.tiny import CPU, begin, finish, tiny_config

KINDS = [kind for kind in ready(ForwardProcess) if kind != "vp"]


def config_of(source: Path, kind: str, **diffusion: Any) -> RunConfig:
    config = tiny_config(source, schedule=GeometricSchedule(), objective={"predict": "score"}, steps=2)
    values = config.diffusion.model_dump() | {"forward": {"kind": kind}} | diffusion
    return RunConfig.model_validate(config.model_dump() | {"diffusion": values})


@pytest.mark.parametrize("kind", KINDS)
def test_that_the_loss_is_that_of_score_matching_in_the_coordinates_of_the_process(
    kind: str, pictures: Path, tmp_path: Path
) -> None:
    """b² ‖s + ε/b‖² of the network at a x_0 + b ε (Luo eq. 161), written out in float64."""
    session = begin(tmp_path / "run", config_of(pictures, kind))
    tables, batch = session.config.diffusion.tables(), session.batches.batch(0, 0, 16)
    unet = copy.deepcopy(session.learner.unet).double()
    a, b = (values[batch.t].view(-1, 1, 1, 1) for values in (tables.signal, tables.noise))
    x, noise = a * batch.x_0.double() + b * batch.noise.double(), batch.noise.double()
    assert batch.labels is not None
    labels = torch.where(batch.labels == -1, 3, batch.labels)
    with torch.no_grad():
        score = unet(x, batch.t - 1, labels).sample
    expected = (b * score + noise).square().flatten(1).mean(1)
    errors = session.learner.step(batch, 0).errors
    torch.testing.assert_close(errors.double(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_that_a_checkpoint_keeps_its_process(kind: str, pictures: Path, tmp_path: Path) -> None:
    finish(begin(tmp_path / "run", config_of(pictures, kind)))
    run = Run.open(tmp_path / "run")
    checkpoint, _ = run.newest_checkpoint()
    model = load_model(checkpoint, CPU)
    tables = run.config.diffusion.tables()
    torch.testing.assert_close(model.denoiser.tables.scale, tables.scale, rtol=1e-12, atol=0)
    x_t, t = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)), 20
    scale, unet = tables.scale_at(t), model.denoiser.network.unet
    with torch.no_grad():
        own = unet((x_t * scale), torch.tensor([t - 1, t - 1]), torch.tensor([3, 3])).sample
    torch.testing.assert_close(model.denoiser(x_t, t).score_hat, own * scale, rtol=1e-4, atol=1e-4)
    with pytest.raises(Refused, match="samples VP alone"):
        export_model(tmp_path / "run", tmp_path / "out")


@pytest.mark.parametrize("scale", [[1.0, 2.0], [1.0] * 50 + [0.0], ["x"] * 51, 3])
def test_that_a_scale_that_cannot_be_is_refused(scale: Any, pictures: Path, tmp_path: Path) -> None:
    finish(begin(tmp_path / "run", config_of(pictures, "ve")))
    checkpoint, _ = Run.open(tmp_path / "run").newest_checkpoint()
    file = checkpoint / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"state_scale": scale}), "utf-8")
    with pytest.raises(CheckpointError, match=r"state_scale|not understood"):
        load_model(checkpoint, CPU)


def test_that_what_no_process_can_be_asked_for_is_refused(pictures: Path) -> None:
    with pytest.raises(ValueError, match="keeps the whole image"):
        config_of(pictures, "ve", zero_terminal=True)
    with pytest.raises(ValueError, match="needs the process VP"):
        config_of(pictures, "ve", schedule={"kind": "learned"})

"""A run's network as ONNX, and its training as a film."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.chains.source import open_source
from diffusion_studio.engine.evaluation import exported_network
from diffusion_studio.engine.evaluation.exported_film import of_one_size
from diffusion_studio.engine.evaluation.exported_run import export_run
from diffusion_studio.engine.files.pictures import save_grid
from support.tiny import CPU, begin, finish, tiny_config


def run_of(pictures: Path, path: Path, **changes: Any) -> Path:
    finish(begin(path, tiny_config(pictures, **({"steps": 2, "preview_count": 4} | changes))))
    return path


@pytest.mark.parametrize(
    ("conditional", "objective"),
    [(True, {"predict": "v"}), (False, {"predict": "eps", "variance": "hybrid"})],
)
def test_that_onnx_says_what_the_network_says(
    conditional: bool, objective: dict[str, str], pictures: Path, tmp_path: Path
) -> None:
    run = run_of(pictures, tmp_path / "run", conditional=conditional, objective=objective)
    (note,) = export_run(run, tmp_path / "deep" / "network.onnx")
    assert note.startswith("Run by onnxruntime, it differs from torch by ")
    source = open_source(run, CPU)
    session = onnxruntime.InferenceSession(
        tmp_path / "deep" / "network.onnx", providers=["CPUExecutionProvider"]
    )
    assert [each.name for each in session.get_inputs()] == [
        "sample", "timestep", *(["class_labels"] if conditional else [])
    ]  # fmt: skip
    x, labels = torch.randn(5, 1, 8, 8), torch.tensor([0, 1, 2, -1, -1])
    given = {"sample": x.numpy(), "timestep": np.full(5, 24)}
    if conditional:
        given["class_labels"] = np.array([0, 1, 2, 3, 3])  # the last one is no class
    (found,) = session.run(["out_sample"], given)
    output = source.denoiser.network.predict(x, torch.full((5,), 25), labels if conditional else None)
    assert np.abs(found[:, :1] - output.value.detach().numpy()).max() <= 1e-5
    assert found.shape[1] == (1 if conditional else 2)


def test_that_onnx_tells_what_sampling_needs(pictures: Path, tmp_path: Path) -> None:
    run = run_of(pictures, tmp_path / "run")
    export_run(run, tmp_path / "network.onnx")
    facts = {each.key: each.value for each in onnx.load(tmp_path / "network.onnx").metadata_props}
    tables = open_source(run, CPU).tables
    assert json.loads(facts["trained_betas"]) == tables.beta[1:].tolist()
    assert (facts["prediction_type"], json.loads(facts["class_names"])) == ("epsilon", ["ape", "bee", "cat"])


def test_that_a_network_that_came_out_otherwise_is_not_written(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exported_network, "_converted", lambda network, inputs: b"")
    monkeypatch.setattr(exported_network, "_described", lambda data, facts: data)
    monkeypatch.setattr(exported_network, "_apart", lambda network, data, inputs: 2e-3)
    with pytest.raises(Refused, match="differs from torch by"):
        export_run(run_of(pictures, tmp_path / "run"), tmp_path / "network.onnx")
    assert not (tmp_path / "network.onnx").exists()


@pytest.mark.parametrize(("name", "extra"), [("a.onnx", "onnx"), ("a.mp4", "video")])
def test_that_a_missing_extra_is_named(
    name: str, extra: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(pictures, tmp_path / "run")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refused, match=rf"pip install 'diffusion-studio\[{extra}\]' adds"):
        export_run(run, tmp_path / name)
    assert not (tmp_path / name).exists()


def test_that_a_film_goes_from_the_first_samples_to_the_newest(pictures: Path, tmp_path: Path) -> None:
    run = run_of(pictures, tmp_path / "run", preview_count=0)
    (run / "samples").mkdir(exist_ok=True)
    for step in range(1, 6):
        images = np.full((4, 8, 8, 1), 40 * step, np.uint8)
        save_grid(run / "samples" / f"step-{step:08d}.png", images, {})
    (run / "samples" / "step-00000003.png").write_bytes(b"no picture")
    (note,) = export_run(run, tmp_path / "film.webp")
    assert note == "step-00000003.png cannot be read, so it is left out."
    with Image.open(tmp_path / "film.webp") as film:
        assert film.n_frames == 4
        shades = []
        for number in range(4):
            film.seek(number)
            shades.append(film.convert("L").getpixel((2, 2)))
    assert shades == [40, 80, 160, 200]


def test_that_pictures_of_several_sizes_stand_on_one_ground() -> None:
    small, large = np.zeros((2, 3, 1), np.uint8), np.ones((4, 4, 1), np.uint8)
    first, second = of_one_size([small, large])
    assert first.shape == second.shape == (4, 4, 1)
    assert (first[:2, :3] == 0).all() and first[3, 3, 0] == 32 and (second == 1).all()


def test_that_a_training_without_samples_has_no_film(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="has no samples"):
        export_run(run_of(pictures, tmp_path / "run", preview_count=0), tmp_path / "film.gif")

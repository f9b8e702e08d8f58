"""A run as a model folder: diffusers samples it by the example on its card, and it comes back the same."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
import yaml

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers import DDIM
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import open_source
from diffusion_studio.engine.evaluation import exported_model
from diffusion_studio.engine.evaluation.evaluation import EvaluationSpec, evaluate
from diffusion_studio.engine.evaluation.exported_model import CARD, PICTURE, export_model
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.models.unet import quiet_diffusers
from support.coded import coded_config, coded_run
from support.tiny import CPU, begin, finish, tiny_config


def run_of(pictures: Path, path: Path, **changes: Any) -> Path:
    finish(
        begin(
            path, tiny_config(pictures, **({"steps": 2, "preview_count": 4, "preview_share": 0.5} | changes))
        )
    )
    return path


def card_of(folder: Path) -> str:
    return (folder / CARD).read_text(encoding="utf-8")


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(("predict", "variance"), [("eps", "fixed"), ("v", "hybrid"), ("x_0", "fixed")])
def test_that_the_example_on_the_card_samples_the_model(
    conditional: bool, predict: str, variance: str, pictures: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    objective = {"predict": predict, "variance": variance}
    run = run_of(pictures, tmp_path / "run", conditional=conditional, objective=objective)
    export_model(run, tmp_path / "model")
    (code,) = re.findall(r"```python\n(.*?)```", card_of(tmp_path / "model"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {}
    with quiet_diffusers():
        exec(code, known)
    images = known["images"]
    assert len(images) == (3 if conditional else 4)
    assert images[0].shape == (8, 8, 1) if conditional else images[0].size == (8, 8)


def test_that_an_exported_model_is_the_same_model(pictures: Path, tmp_path: Path) -> None:
    run = run_of(pictures, tmp_path / "run")
    assert export_model(run, tmp_path / "deep" / "model") == ()
    there, here = open_source(run, CPU), open_source(tmp_path / "deep" / "model", CPU)
    assert (here.kind, here.class_names) == ("folder", there.class_names)
    x, labels = torch.randn(2, 1, 8, 8), torch.tensor([1, -1])
    assert torch.equal(here.denoiser(x, 9, labels).eps_hat, there.denoiser(x, 9, labels).eps_hat)
    names = {path.relative_to(tmp_path / "deep" / "model").as_posix() for path in here_files(tmp_path)}
    assert names == {
        "README.md", "model_index.json", "samples.png", "scheduler/scheduler_config.json", "studio.json",
        "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
    }  # fmt: skip


def here_files(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "deep" / "model").rglob("*") if path.is_file()]


def test_that_the_card_tells_data_training_and_figures(pictures: Path, tmp_path: Path) -> None:
    run = run_of(pictures, tmp_path / "run", held_out=0.3)
    for _ in evaluate(run, EvaluationSpec(images=3, samples=64), CPU, Control()):
        pass
    export_model(run, tmp_path / "model")
    card = card_of(tmp_path / "model")
    front = yaml.safe_load(card.split("---")[1])
    assert front["library_name"] == "diffusers" and "ddpm" in front["tags"]
    for words in (
        "8 images of", "bound on −log p", "Fréchet distance", "batch size | 16", "trained for 2 steps",
        "Classes: 0 ape, 1 bee, 2 cat; 3 stands for no class.", "![Samples](samples.png)",
    ):  # fmt: skip
        assert words in card, words


def test_that_a_card_without_figures_has_no_such_heading(pictures: Path, tmp_path: Path) -> None:
    export_model(run_of(pictures, tmp_path / "run", preview_count=0), tmp_path / "model")
    card = card_of(tmp_path / "model")
    assert "## Figures" not in card and "samples.png" not in card


def test_that_what_cannot_be_exported_is_refused_and_leaves_nothing(pictures: Path, tmp_path: Path) -> None:
    score = run_of(pictures, tmp_path / "score", objective={"predict": "score"})
    with pytest.raises(Refused, match="diffusers has no name"):
        export_model(score, tmp_path / "model")
    with pytest.raises(Refused, match="is not a run"):
        export_model(tmp_path / "nothing", tmp_path / "model")
    run = run_of(pictures, tmp_path / "run")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(Refused, match="not an empty folder"):
        export_model(run, tmp_path / "full")
    (run / "checkpoints" / "step-00000002" / "studio.json").unlink()
    with pytest.raises(Refused, match="no usable checkpoint"):
        export_model(run, tmp_path / "model")
    assert not [path for path in tmp_path.iterdir() if "model" in path.name]


@pytest.mark.parametrize("read", [True, False])
def test_that_a_fault_of_the_disk_names_what_it_is_about(
    read: bool, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, model = run_of(pictures, tmp_path / "run"), tmp_path / "model"
    about = run / "checkpoints" if read else model.with_name(".model.exporting") / "unet"

    def fails(*_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied", str(about))

    monkeypatch.setattr(exported_model, "read_inside" if read else "write_synced", fails)
    with pytest.raises(PermissionError) as caught:
        export_model(run, model)
    assert caught.value.filename == str(about if read else model)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there, and there are no pipes")
@pytest.mark.parametrize("kind", ["a link that leads out", "a pipe", "a folder"])
def test_that_no_picture_is_taken_from_outside_and_none_is_waited_for(
    kind: str, pictures: Path, tmp_path: Path
) -> None:
    run = run_of(pictures, tmp_path / "run")
    newest = run / "samples" / "step-99999999.png"
    (tmp_path / "secret").write_text("secret")
    match kind:
        case "a pipe":
            os.mkfifo(newest)
        case "a folder":
            newest.mkdir()
        case _:
            newest.symlink_to(tmp_path / "secret")
    export_model(run, tmp_path / "model")
    assert not (tmp_path / "model" / PICTURE).exists()
    assert PICTURE not in card_of(tmp_path / "model")


@pytest.mark.parametrize("studio", ["[]", "{}", '{"classes": 3, "class_names": 5}'])
def test_that_odd_words_about_classes_are_no_fault(studio: str, pictures: Path, tmp_path: Path) -> None:
    run = run_of(pictures, tmp_path / "run")
    checkpoint = next((run / "checkpoints").iterdir())
    (checkpoint / "studio.json").write_text(studio)
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    entry = {"size": len(studio), "sha256": hashlib.sha256(studio.encode()).hexdigest()}
    manifest["files"]["studio.json"] = entry
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    export_model(run, tmp_path / "model")
    assert (tmp_path / "model" / "studio.json").read_text() == studio


@pytest.mark.parametrize("conditional", [False, True])
def test_that_the_example_on_the_card_samples_a_diffusion_in_a_code(
    conditional: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = coded_run(tmp_path, conditional=conditional, preview_count=4, preview_share=0.5)
    export_model(run, tmp_path / "model")
    card = card_of(tmp_path / "model")
    assert "`unet` makes codes of 3 × 4 × 4 numbers" in card
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {}
    with quiet_diffusers():
        exec(code, known)
    images = known["images"]
    assert len(images) == (3 if conditional else 4)
    assert images[0].shape == (16, 16, 1) if conditional else images[0].size == (16, 16)


def test_that_the_librarys_own_latent_pipeline_draws_the_same_pictures(tmp_path: Path) -> None:
    run, _ = coded_run(tmp_path, conditional=False)
    export_model(run, tmp_path / "model")
    from diffusers import AutoencoderKL, DDIMScheduler, LDMPipeline, UNet2DModel

    folder, steps = tmp_path / "model", 10
    with quiet_diffusers():
        pipeline = LDMPipeline(
            AutoencoderKL.from_pretrained(folder, subfolder="vae"),
            UNet2DModel.from_pretrained(folder, subfolder="unet"),
            DDIMScheduler.from_pretrained(folder, subfolder="scheduler"),
        )
        pipeline.set_progress_bar_config(disable=True)
        theirs = pipeline(
            2, torch.Generator().manual_seed(3), eta=0.0, num_inference_steps=steps, output_type="np"
        ).images
    start = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(3))
    for place in (run, folder):
        source = open_source(place, CPU)
        spec = SampleSpec(sampler=DDIM(), steps=steps, count=2)
        for step in Chain(source, spec, CPU).steps(0, start):
            x = step.x_s
        ours = (source.pictures(x) / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
        torch.testing.assert_close(ours.numpy(), theirs, rtol=0, atol=1e-4)


def test_that_an_exported_model_opens_and_lends_its_code(tmp_path: Path) -> None:
    run, _ = coded_run(tmp_path)
    export_model(run, tmp_path / "model")
    there, here = open_source(run, CPU), open_source(tmp_path / "model", CPU)
    assert (here.sides, here.channels, here.class_names) == ((16, 16), 1, there.class_names)
    x = torch.rand(2, 1, 16, 16) * 2 - 1
    torch.testing.assert_close(here.states(x), there.states(x), rtol=0, atol=1e-4)
    torch.testing.assert_close(
        here.pictures(there.states(x)), there.pictures(there.states(x)), rtol=0, atol=1e-4
    )
    session = begin(tmp_path / "again", coded_config(tmp_path / "zoo", tmp_path / "model"))
    assert session.code is not None and session.code.channels == 3


@pytest.mark.parametrize("odd", ["null", '"x"', "[0.5, 7, []]", "{}"])
def test_that_an_odd_list_of_images_is_no_fault(odd: str, pictures: Path, tmp_path: Path) -> None:
    run = run_of(pictures, tmp_path / "run")
    (run / "data.json").write_text(f'{{"images": {odd}}}')
    export_model(run, tmp_path / "model")
    assert "Images of" in card_of(tmp_path / "model")

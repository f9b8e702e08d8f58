"""Models of every other kind that diffusers has: opened for what they are, or refused by their names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers import UNet2DModel

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.export import run_chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import open_source
from diffusion_studio.engine.runs.checkpoints import CheckpointError
from diffusion_studio.engine.runs.model_io import load_model
from diffusion_studio.engine.runs.scheduler_config import read_scheduler
from diffusion_studio.models.unet import quiet_diffusers
from support.folders_of_others import SMALL, WEIGHTS, pipeline
from support.tiny import CPU


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with quiet_diffusers():
        yield


@pytest.mark.parametrize("kind", ["StableDiffusionPipeline", "AltDiffusionPipeline"])
def test_that_the_network_is_named_before_a_code_beside_it_is_looked_for(kind: str, tmp_path: Path) -> None:
    folder = pipeline(UNet2DModel(**SMALL), diffusers.PNDMScheduler(), tmp_path)
    index = {"_class_name": kind, "vae": ["diffusers", "AutoencoderKL"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "unet" / "config.json").write_text(json.dumps({"_class_name": "UNet2DConditionModel"}))
    with pytest.raises(CheckpointError, match="UNet2DConditionModel"):
        open_source(folder, CPU)


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("model_index.json", "DiTPipeline"), ("model_index.json", "FluxPipeline"),
        ("config.json", "DiTTransformer2DModel"), ("config.json", "AutoencoderKL"),
    ],
)  # fmt: skip
def test_that_a_folder_without_a_network_of_the_known_kind_is_named(
    file: str, kind: str, tmp_path: Path
) -> None:
    (tmp_path / file).write_text(json.dumps({"_class_name": kind}))
    with pytest.raises(Refused, match=f"is of the kind {kind};"):
        open_source(tmp_path, CPU)


def test_that_an_optional_code_that_is_absent_is_none(tmp_path: Path) -> None:
    folder = pipeline(UNet2DModel(**SMALL), diffusers.DDIMScheduler(), tmp_path)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"vqvae": [None, None]}))
    assert load_model(folder, CPU).code is None


def test_that_a_pickle_of_any_variant_is_refused_by_its_name(tmp_path: Path) -> None:
    folder = pipeline(UNet2DModel(**SMALL), diffusers.DDPMScheduler(), tmp_path)
    (folder / "unet" / WEIGHTS).rename(folder / "unet" / "diffusion_pytorch_model.non_ema.bin")
    with pytest.raises(CheckpointError, match=r"non_ema\.bin, a pickle"):
        load_model(folder, CPU)


def test_that_the_shapes_of_a_network_are_followed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    folders = [
        pipeline(UNet2DModel(**(SMALL | {"sample_size": side})), diffusers.DDPMScheduler(), tmp_path / name)
        for side, name in ((20, "a"), (20, "b"), (24, "c"))
    ]
    followed = UNet2DModel.forward

    def forward(self: UNet2DModel, x: torch.Tensor, *rest: Any, **named: Any) -> Any:
        asked.append(x.shape[2])
        return followed(self, x, *rest, **named)

    monkeypatch.setattr(UNet2DModel, "forward", forward)
    for folder in folders:
        load_model(folder, CPU)
    assert asked == [20, 24]


SCHEDULERS = sorted(name for name in dir(diffusers) if name.endswith("Scheduler"))


@pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")  # in diffusers itself
@pytest.mark.parametrize("name", SCHEDULERS)
def test_that_every_scheduler_of_diffusers_has_its_own_variances_or_is_refused_by_name(name: str) -> None:
    schedules = ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace", "exp")
    for settings in ({"beta_schedule": kind} for kind in schedules):
        try:
            theirs = getattr(diffusers, name)(**settings)
        except (NotImplementedError, ImportError, TypeError, ValueError):  # it has none of that name
            continue
        config = dict(getattr(theirs, "config", {})) | {"_class_name": name}
        try:
            tables, _ = read_scheduler(config)
        except CheckpointError as error:
            assert f"scheduler is {name}" in str(error)
        else:
            torch.testing.assert_close(tables.beta[1:].float(), theirs.betas, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", [f"unet/{WEIGHTS}", "unet/config.json", "scheduler/scheduler_config.json"])
def test_that_what_git_lfs_has_not_fetched_is_not_called_damaged(name: str, tmp_path: Path) -> None:
    folder = pipeline(UNet2DModel(**SMALL), diffusers.DDPMScheduler(), tmp_path)
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(CheckpointError, match="which “git lfs pull” fetches"):
        load_model(folder, CPU)


AUTOENCODER: dict[str, Any] = {
    "in_channels": 1, "out_channels": 1, "latent_channels": 1,
    "block_out_channels": (4, 4), "norm_num_groups": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2,
}  # fmt: skip


def coded(folder: Path, **config: Any) -> tuple[Path, diffusers.AutoencoderKL]:
    """A model of codes, and its autoencoder."""
    pipeline(UNet2DModel(**SMALL), diffusers.DDPMScheduler(), folder)
    network = diffusers.AutoencoderKL(**(AUTOENCODER | config))
    network.save_pretrained(folder / "vae")
    return folder, network.eval()


@pytest.mark.parametrize(
    ("config", "spread", "mean"),
    [
        ({"scaling_factor": 0.5}, 2.0, 0.0),
        ({"scaling_factor": 0.5, "shift_factor": 0.25}, 2.0, 0.25),
        ({"scaling_factor": 0.5, "latents_mean": [0.25], "latents_std": [3.0]}, 6.0, 0.25),
    ],
)
def test_that_codes_are_scaled_as_pipelines_of_diffusers_do(
    config: dict[str, Any], spread: float, mean: float, tmp_path: Path
) -> None:
    folder, network = coded(tmp_path, **config)
    code, z = load_model(folder, CPU).code, torch.randn(1, 1, 8, 8)
    assert code is not None
    with torch.no_grad():
        torch.testing.assert_close(code.decode(z), network.decode(z * spread + mean).sample)


def test_that_an_autoencoder_of_more_widths_than_blocks_is_refused(tmp_path: Path) -> None:
    folder, _ = coded(tmp_path, block_out_channels=(4, 4, 4))
    with pytest.raises(CheckpointError, match="autoencoder's config is not valid"):
        load_model(folder, CPU)


def test_that_pictures_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    folder, network = coded(tmp_path)
    with torch.no_grad():
        network.decoder.conv_out.weight.fill_(3e38)
        network.decoder.conv_norm_out.weight.fill_(3e38)
    network.save_pretrained(folder / "vae")
    source = open_source(folder, CPU)
    with pytest.raises(Refused, match="pictures whose values are not numbers"):
        run_chain(Chain(source, SampleSpec(count=1, steps=1), CPU), keep=False)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"beta_schedule": "scaled_linear", "beta_start": -0.1}, "Every β of a schedule must lie"),
        ({"num_train_timesteps": 10.7}, "10.7 steps, which is not a whole number"),
        ({"variance_type": "learned_range"}, "takes 1 channels and gives 1; as it is said to learn"),
    ],
)
def test_that_a_scheduler_that_does_not_fit_is_refused_for_what_is_wrong(
    config: dict[str, Any], words: str, tmp_path: Path
) -> None:
    file = (
        pipeline(UNet2DModel(**SMALL), diffusers.DDPMScheduler(), tmp_path)
        / "scheduler/scheduler_config.json"
    )
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    with pytest.raises(CheckpointError, match=words):
        load_model(tmp_path, CPU)


def test_that_a_model_that_was_fetched_in_part_and_a_file_are_called_so(tmp_path: Path) -> None:
    folder = pipeline(UNet2DModel(**SMALL), diffusers.DDPMScheduler(), tmp_path)
    with pytest.raises(Refused, match="is a file; a model is a folder"):
        open_source(folder / "unet" / WEIGHTS, CPU)
    (folder / "unet" / "config.json").unlink()
    with pytest.raises(Refused, match=r"is missing: there is no unet/config\.json"):
        open_source(folder, CPU)

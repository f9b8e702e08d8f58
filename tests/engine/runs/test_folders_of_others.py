"""Folders as diffusers and its training scripts write them: diffusers' own samples, or a refusal by name."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers import DDIMScheduler, UNet2DModel

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.samplers import DDIM
from diffusion_studio.core.steps.clipping import Unclipped
from diffusion_studio.engine.chains.source import open_source
from diffusion_studio.engine.runs.checkpoints import CheckpointError
from diffusion_studio.engine.runs.model_io import load_model
from diffusion_studio.engine.runs.pipeline_folder import is_pipeline
from diffusion_studio.models.unet import quiet_diffusers
from support.folders_of_others import (
    LAYOUTS,
    SMALL,
    WEIGHTS,
    Layout,
    accelerate,
    own_variant,
    pipeline,
    shards,
    wrapped,
)
from support.tiny import CPU

NOISE, STEPS = CounterNoise(7), 5


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with quiet_diffusers():
        yield


# --- what opens -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opens:
    """A folder that opens."""

    layout: Layout = pipeline
    scheduler: str = "DDPMScheduler"
    settings: dict[str, Any] = field(default_factory=dict)  # of the scheduler
    network: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        words = [self.layout.__name__, self.scheduler, *self.settings.values(), *self.network]
        return " ".join(map(str, words))[:80]


BETAS: tuple[dict[str, Any], ...] = (
    {"beta_schedule": "linear"}, {"beta_schedule": "scaled_linear"}, {"beta_schedule": "squaredcos_cap_v2"},
    {"beta_schedule": "sigmoid"}, {"beta_schedule": "laplace"},
    {"trained_betas": [0.01 * k for k in range(1, 41)], "num_train_timesteps": 40},
)  # fmt: skip
OTHERS = (
    "DDIMScheduler", "PNDMScheduler", "LMSDiscreteScheduler", "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "KDPM2DiscreteScheduler",
    "DPMSolverMultistepScheduler", "DEISMultistepScheduler", "UniPCMultistepScheduler",
    "DDIMInverseScheduler", "DPMSolverMultistepInverseScheduler",
)  # fmt: skip
NETWORKS: tuple[dict[str, Any], ...] = (
    {"num_class_embeds": 4}, {"time_embedding_type": "learned", "num_train_timesteps": 1000},
    {"in_channels": 3, "out_channels": 3}, {"center_input_sample": True}, {"flip_sin_to_cos": False},
    {"resnet_time_scale_shift": "scale_shift"}, {"downsample_type": "resnet", "upsample_type": "resnet"},
    {"add_attention": False}, {"freq_shift": 1}, {"act_fn": "relu"},
    {"sample_size": 33, "block_out_channels": (8,), "down_block_types": ("DownBlock2D",),
     "up_block_types": ("UpBlock2D",)},
    {"sample_size": (8, 16)}, {"sample_size": (12, 6), "num_class_embeds": 4},
    {"in_channels": 2, "out_channels": 2}, {"in_channels": 4, "out_channels": 4},
    {"in_channels": 4, "out_channels": 4, "sample_size": (4, 10)},
    {"class_embed_type": "timestep"}, {"class_embed_type": "timestep", "num_class_embeds": 5},
    {"class_embed_type": "timestep", "time_embedding_type": "learned", "num_train_timesteps": 1000},
)  # fmt: skip
FOLDERS = [
    *(Opens(layout, settings={"prediction_type": kind})
      for layout, kind in itertools.product(LAYOUTS, ("epsilon", "sample", "v_prediction"))),
    *(Opens(settings=betas | {"prediction_type": kind})
      for betas, kind in itertools.product(BETAS, ("epsilon", "v_prediction"))),
    *(Opens(settings={"rescale_betas_zero_snr": True, "prediction_type": kind} | betas)
      for betas, kind in itertools.product(BETAS[:3], ("sample", "v_prediction"))),
    *(Opens(layout) for layout in (wrapped, own_variant)),
    *(Opens(scheduler=name) for name in OTHERS),
    Opens(scheduler="HeunDiscreteScheduler", settings={"beta_schedule": "exp"}),
    *(Opens(network=network) for network in NETWORKS),
    *(Opens(settings=settings) for settings in ({"clip_sample": False}, {"thresholding": True})),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")  # in diffusers itself
@pytest.mark.parametrize("case", FOLDERS, ids=str)
def test_that_a_folder_of_diffusers_gives_the_samples_of_diffusers(case: Opens, tmp_path: Path) -> None:
    torch.manual_seed(0)
    unet = UNet2DModel(**(SMALL | case.network)).eval()
    folder = case.layout(unet, getattr(diffusers, case.scheduler)(**case.settings), tmp_path / "model")
    assert is_pipeline(folder)
    model = load_model(folder, CPU)
    shape = (2, model.channels, *model.sides)
    labels = torch.tensor([0, 3]) if model.classes else None
    theirs, times = _theirs(unet, case, NOISE.start(shape), labels)
    for step in reverse_chain(model.denoiser, DDIM(), times, NOISE.start(shape), None, labels, Unclipped()):
        x = step.x_s
    torch.testing.assert_close(x, theirs, rtol=1e-4, atol=1e-4)


def _theirs(
    unet: UNet2DModel, case: Opens, x: torch.Tensor, labels: torch.Tensor | None
) -> tuple[torch.Tensor, list[int]]:
    """Samples of diffusers' DDIM on the betas that its own scheduler has, and the times that it visits."""
    known = getattr(diffusers, case.scheduler)(**case.settings)
    scheduler = DDIMScheduler(
        trained_betas=known.betas.tolist(), num_train_timesteps=len(known.betas), clip_sample=False,
        prediction_type=case.settings.get("prediction_type", "epsilon"), timestep_spacing="trailing",
        set_alpha_to_one=True,
    )  # fmt: skip
    scheduler.set_timesteps(STEPS)
    for k in scheduler.timesteps:
        with torch.inference_mode():
            x = scheduler.step(unet(x, k, class_labels=labels).sample, k, x).prev_sample
    return x, [*(int(k) + 1 for k in scheduler.timesteps), 0]


# --- what is said ---------------------------------------------------------------------------------------


def test_that_a_network_alone_says_what_was_assumed(tmp_path: Path) -> None:
    UNet2DModel(**SMALL).save_pretrained(tmp_path / "a" / "b" / "network")
    notes = open_source(tmp_path / "a" / "b" / "network", CPU).notes
    assert notes == ("No scheduler lies beside this network: linear β as in DDPM, T = 1000, is assumed.",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"in_channels": 2, "out_channels": 2}, "The 2 channels of its pictures are shown side by side"),
        ({"class_embed_type": "timestep"}, "those up to 999 can be asked for"),
    ],
)
def test_that_channels_without_a_colour_and_classes_without_an_end_are_said(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    folder = pipeline(UNet2DModel(**(SMALL | changes)), diffusers.DDPMScheduler(), tmp_path)
    (note,) = open_source(folder, CPU).notes
    assert words in note


def test_that_averaged_weights_and_a_scheduler_from_elsewhere_are_said(tmp_path: Path) -> None:
    folder = accelerate(UNet2DModel(**SMALL), diffusers.DDPMScheduler(), tmp_path.resolve())
    first, second = open_source(folder, CPU).notes
    assert str(tmp_path.resolve()) in first and "unet_ema" in second


@pytest.mark.parametrize(
    ("scheduler", "settings", "words"),
    [
        ("DDPMScheduler", {}, ""), ("DDIMScheduler", {}, ""),
        ("DDPMScheduler", {"clip_sample": False}, "clips no estimate"),
        ("DDIMScheduler", {"clip_sample_range": 2.0}, "clips estimates at ±2.0"),
        ("DDPMScheduler", {"clip_sample_range": None}, ""),
        ("DDPMScheduler", {"thresholding": True}, "dynamic threshold"),
        ("PNDMScheduler", {}, "clips no estimate"),
    ],
)  # fmt: skip
def test_that_other_clipping_is_said(
    scheduler: str, settings: dict[str, Any], words: str, tmp_path: Path
) -> None:
    folder = pipeline(UNet2DModel(**SMALL), getattr(diffusers, scheduler)(**settings), tmp_path)
    notes = open_source(folder, CPU).notes
    assert words in " ".join(notes) and bool(notes) == bool(words)


def test_that_the_old_name_of_a_prediction_is_heeded(tmp_path: Path) -> None:
    folder = pipeline(UNet2DModel(**SMALL), diffusers.DDPMScheduler(), tmp_path)
    config = folder / "scheduler" / "scheduler_config.json"
    content = json.loads(config.read_text())
    del content["prediction_type"]
    for asked, kind in ((False, "x_0"), (True, "eps")):
        config.write_text(json.dumps(content | {"predict_epsilon": asked}))
        assert load_model(folder, CPU).denoiser.kind == kind


# --- what is refused ------------------------------------------------------------------------------------

STRANGERS = {
    "EDMEulerScheduler": {}, "FlowMatchEulerDiscreteScheduler": {}, "CMStochasticIterativeScheduler": {},
    "IPNDMScheduler": {}, "ScoreSdeVeScheduler": {}, "LCMScheduler": {},
    "VQDiffusionScheduler": {"num_vec_classes": 4},
    "EDMDPMSolverMultistepScheduler": {}, "FlowMatchHeunDiscreteScheduler": {}, "TCDScheduler": {},
    "UnCLIPScheduler": {}, "RePaintScheduler": {},
}  # fmt: skip


@pytest.mark.parametrize("scheduler", STRANGERS)
def test_that_another_process_is_refused_by_its_name(scheduler: str, tmp_path: Path) -> None:
    settings = STRANGERS[scheduler]
    folder = pipeline(UNet2DModel(**SMALL), getattr(diffusers, scheduler)(**settings), tmp_path)
    with pytest.raises(CheckpointError, match=f"The model's scheduler is {scheduler}: .*\\."):
        open_source(folder, CPU)


def test_that_noise_says_nothing_where_there_is_no_signal(tmp_path: Path) -> None:
    scheduler = diffusers.DDPMScheduler(rescale_betas_zero_snr=True)
    with pytest.raises(CheckpointError, match=r"rescale_betas_zero_snr.*'epsilon' says nothing"):
        load_model(pipeline(UNet2DModel(**SMALL), scheduler, tmp_path), CPU)


REFUSED_NETWORKS: dict[str, tuple[dict[str, Any], str]] = {
    "class_embed_type": ({"class_embed_type": "identity"}, "class_embed_type 'identity'"),
    "fourier": ({"time_embedding_type": "fourier"}, "time_embedding_type 'fourier'"),
    "five channels": ({"in_channels": 5, "out_channels": 5}, "5 channels"),
    "33 pixels": ({"sample_size": 33}, "33 × 33 pixels do not go through"),
}


@pytest.mark.parametrize("name", REFUSED_NETWORKS)
def test_that_another_network_is_refused_by_what_it_is(name: str, tmp_path: Path) -> None:
    changes, words = REFUSED_NETWORKS[name]
    folder = pipeline(UNet2DModel(**(SMALL | changes)), diffusers.DDPMScheduler(), tmp_path)
    with pytest.raises(CheckpointError, match=words):
        load_model(folder, CPU)


def test_that_a_pickle_is_refused_by_that_name(tmp_path: Path) -> None:
    folder = pipeline(UNet2DModel(**SMALL), diffusers.DDPMScheduler(), tmp_path)
    (folder / "unet" / WEIGHTS).rename(folder / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pickle"):
        load_model(folder, CPU)


def test_that_pieces_lie_inside_the_folder(tmp_path: Path) -> None:
    folder = shards(UNet2DModel(**SMALL), diffusers.DDPMScheduler(), tmp_path / "model")
    index = folder / "unet" / f"{WEIGHTS}.index.json"
    content = json.loads(index.read_text())
    for wrong in ("../../secret.safetensors", "missing.safetensors"):
        names = dict.fromkeys(content["weight_map"], wrong)
        index.write_text(json.dumps({"weight_map": names}))
        with pytest.raises(CheckpointError):
            load_model(folder, CPU)
    index.write_text("[]")
    with pytest.raises(CheckpointError, match="in which files"):
        load_model(folder, CPU)

"""Models in diffusers' layout: ours load there, theirs load here, and both walk the same chain."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel
from diffusers.schedulers import scheduling_ddpm

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.denoisers.denoiser import Denoiser
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.schedules import ExplicitSchedule, LinearSchedule, Schedule
from diffusion_studio.core.process.spacing import LeadingSpacing, Spacing, TrailingSpacing
from diffusion_studio.core.samplers import DDIM, DDPM, Sampler
from diffusion_studio.core.steps.clipping import Clip
from diffusion_studio.engine.runs.checkpoints import CheckpointError
from diffusion_studio.engine.runs.model_io import load_model
from diffusion_studio.engine.runs.pipeline_folder import is_pipeline
from diffusion_studio.engine.runs.scheduler_config import read_scheduler
from diffusion_studio.models.unet import quiet_diffusers
from support.families import ready
from support.tiny import CPU, begin, finish, tiny_config

SCHEDULES: dict[str, Schedule] = ready(Schedule) | {
    "explicit": ExplicitSchedule(values=tuple(0.002 * (i + 1) for i in range(50)))
}
NOISE = CounterNoise(3)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with quiet_diffusers():
        yield


def trained(path: Path, pictures: Path, **changes: Any) -> Path:
    """The checkpoint of a short training."""
    session = begin(
        path, tiny_config(pictures, **({"conditional": False, "steps": 3, "ema_decay": 0} | changes))
    )
    finish(session)
    return session.run.newest_checkpoint()[0]


def ours(denoiser: Denoiser, sampler: Sampler, times: tuple[int, ...], count: int = 2) -> torch.Tensor:
    x = NOISE.start((count, 1, 8, 8))
    for step in reverse_chain(denoiser, sampler, times, x, NOISE.step):
        x = step.x_s
    return x


def with_our_noise(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Their scheduler draws our noise; the function says which step begins."""
    now = [0]
    monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda shape, **_: NOISE.step(now[0], tuple(shape)))

    def begins(t: int) -> None:
        now[0] = t

    return begins


def theirs_ddpm(
    pipeline: DDPMPipeline, begins: Callable[[int], None], total: int, times: slice = slice(None)
) -> torch.Tensor:
    pipeline.scheduler.set_timesteps(total)
    x = NOISE.start((2, 1, 8, 8))
    for k in pipeline.scheduler.timesteps[times]:
        begins(int(k) + 1)
        with torch.inference_mode():
            eps_hat = pipeline.unet(x, k).sample
        x = pipeline.scheduler.step(eps_hat, k, x).prev_sample
    return x


@pytest.mark.parametrize("kind", SCHEDULES)
def test_that_a_checkpoint_samples_the_same_in_diffusers(
    kind: str, checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(kind)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    pipeline = DDPMPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    assert type(pipeline.scheduler) is DDPMScheduler
    samples = theirs_ddpm(pipeline, with_our_noise(monkeypatch), 50)
    times = tuple(range(50, -1, -1))
    torch.testing.assert_close(
        ours(load_model(folder, CPU).denoiser, DDPM(), times), samples, rtol=0, atol=1e-4
    )
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before


def test_that_a_thousand_steps_are_the_same_in_diffusers(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty of them at the beginning, in the middle and at the end of the chain."""
    folder = trained(tmp_path / "run", pictures, T=1000)
    pipeline = DDPMPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    denoiser, begins = load_model(folder, CPU).denoiser, with_our_noise(monkeypatch)
    for first in (1000, 520, 40):
        samples = theirs_ddpm(pipeline, begins, 1000, slice(1000 - first, 1040 - first))
        found = ours(denoiser, DDPM(), tuple(range(first, first - 41, -1)))
        torch.testing.assert_close(found, samples, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["x_0", "v"])
@pytest.mark.parametrize("zero_terminal", [False, True])
def test_that_other_predictions_sample_the_same_in_diffusers(
    kind: str, zero_terminal: bool, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(
        pictures, conditional=False, steps=3, ema_decay=0, objective={"predict": kind},
        schedule=SCHEDULES["scaled_linear"],
    )  # fmt: skip
    diffusion = config.diffusion.model_copy(update={"zero_terminal": zero_terminal})
    session = begin(tmp_path / "run", config.model_copy(update={"diffusion": diffusion}))
    finish(session)
    folder = session.run.newest_checkpoint()[0]
    pipeline = DDPMPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    samples = theirs_ddpm(pipeline, with_our_noise(monkeypatch), 50)
    denoiser = load_model(folder, CPU).denoiser
    torch.testing.assert_close(ours(denoiser, DDPM(), tuple(range(50, -1, -1))), samples, rtol=0, atol=2e-4)


def test_that_the_learned_variance_is_the_one_that_diffusers_reads(pictures: Path, tmp_path: Path) -> None:
    folder = trained(tmp_path / "run", pictures, objective={"variance": "hybrid"})
    pipeline = DDPMPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    denoiser, x = load_model(folder, CPU).denoiser, NOISE.start((2, 1, 8, 8))
    for t in (2, 10, 50):
        with torch.inference_mode():
            _, raw = pipeline.unet(x, t - 1).sample.chunk(2, dim=1)
        theirs = pipeline.scheduler._get_variance(t - 1, predicted_variance=raw)
        fraction = denoiser(x, t).fraction
        beta, small = float(denoiser.tables.beta[t]), float(denoiser.tables.beta_tilde[t])
        log_variance = fraction * math.log(beta) + (1 - fraction) * math.log(small)
        torch.testing.assert_close(log_variance, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("steps", [50, 10])
@pytest.mark.parametrize("kind", ["eps", "v"])
def test_that_sampling_with_the_learned_variance_is_that_of_diffusers(
    kind: str, steps: int, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All T steps and a shortened chain, in float64, with weights that make v differ between pixels."""
    folder = trained(tmp_path / "run", pictures, objective={"predict": kind, "variance": "hybrid"})
    denoiser = load_model(folder, CPU).denoiser
    unet = denoiser.network.unet.double()
    torch.nn.init.normal_(unet.conv_out.weight, std=0.3, generator=torch.Generator().manual_seed(1))
    scheduler = DDPMScheduler.from_pretrained(folder / "scheduler", timestep_spacing="leading")
    scheduler.alphas_cumprod = denoiser.tables.alpha_bar[1:]
    scheduler.set_timesteps(steps)
    begins = with_our_noise(monkeypatch)
    x = NOISE.start((2, 1, 8, 8)).double()
    times = LeadingSpacing().times(denoiser.tables, steps)
    assert times == (*(scheduler.timesteps + 1).tolist(), 0)
    spread = []
    for step in reverse_chain(denoiser, DDPM(variance="learned"), times, x, NOISE.step):
        begins(step.t)
        with torch.inference_mode():
            output = unet(x, step.t - 1).sample
        x = scheduler.step(output, step.t - 1, x).prev_sample
        torch.testing.assert_close(step.x_s, x, rtol=0, atol=1e-5)
        spread.append(float(step.prediction.fraction.std()))
    assert min(spread) > 0.05


def test_that_diffusers_refuses_a_score_network_and_says_why(pictures: Path, tmp_path: Path) -> None:
    folder = trained(tmp_path / "run", pictures, objective={"predict": "score"})
    assert load_model(folder, CPU).denoiser.kind == "score"
    pipeline = DDPMPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    pipeline.scheduler.set_timesteps(50)
    x = NOISE.start((1, 1, 8, 8))
    with pytest.raises(ValueError, match="prediction_type given as score"):
        pipeline.scheduler.step(x, 45, x)


def test_that_the_pipeline_of_diffusers_draws_pictures(pictures: Path, tmp_path: Path) -> None:
    pipeline = DDPMPipeline.from_pretrained(trained(tmp_path / "run", pictures), low_cpu_mem_usage=False)
    pipeline.set_progress_bar_config(disable=True)
    (image,) = pipeline(num_inference_steps=10).images
    assert image.size == (8, 8)


def test_that_a_conditional_checkpoint_has_the_same_weights_in_diffusers(
    pictures: Path, tmp_path: Path
) -> None:
    folder = trained(tmp_path / "run", pictures, conditional=True)
    unet = UNet2DModel.from_pretrained(folder / "unet", low_cpu_mem_usage=False)
    model = load_model(folder, CPU)
    assert (model.classes, model.class_names) == (3, ("ape", "bee", "cat"))
    x, labels = NOISE.start((3, 1, 8, 8)), torch.tensor([0, 2, -1])
    with torch.inference_mode():
        expected = unet(x, 24, class_labels=torch.tensor([0, 2, 3])).sample
    torch.testing.assert_close(model.denoiser(x, 25, labels).eps_hat, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", list(SCHEDULES))
@pytest.mark.parametrize("eta", [0.0, 0.5])
@pytest.mark.parametrize("spacing", [TrailingSpacing(), LeadingSpacing()], ids=lambda s: s.kind)
def test_that_ddim_equals_the_scheduler_of_diffusers(
    kind: str, eta: float, spacing: Spacing, checkpoint: Callable[[str], Path]
) -> None:
    folder = checkpoint(kind)
    model = load_model(folder, CPU)
    config = json.loads((folder / "scheduler/scheduler_config.json").read_text())
    scheduler = DDIMScheduler(
        num_train_timesteps=50, trained_betas=config["trained_betas"], clip_sample=True,
        timestep_spacing=spacing.kind, set_alpha_to_one=True,
    )  # fmt: skip
    scheduler.set_timesteps(10)
    times = spacing.times(model.denoiser.tables, 10)
    assert [int(k) + 1 for k in scheduler.timesteps] == list(times[:-1])
    x = NOISE.start((2, 1, 8, 8))
    for k in scheduler.timesteps:
        with torch.inference_mode():
            eps_hat = model.denoiser.network.unet(x, k).sample
        z = NOISE.step(int(k) + 1, tuple(x.shape))
        x = scheduler.step(eps_hat, k, x, eta, use_clipped_model_output=True, variance_noise=z).prev_sample
    torch.testing.assert_close(ours(model.denoiser, DDIM(eta=eta), times), x, rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def checkpoint(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """One trained checkpoint for each schedule."""
    made: dict[str, Path] = {}

    def of(kind: str) -> Path:
        if kind not in made:
            place = tmp_path_factory.mktemp("models") / "run"
            made[kind] = trained(place, pictures, schedule=SCHEDULES[kind])
        return made[kind]

    return of


# Folders that diffusers wrote


def small_unet(**changes: Any) -> UNet2DModel:
    settings = {
        "sample_size": 8, "in_channels": 1, "out_channels": 1, "block_out_channels": (8, 16),
        "layers_per_block": 1, "norm_num_groups": 4, "attention_head_dim": 8,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    }  # fmt: skip
    torch.manual_seed(0)
    return UNet2DModel(**(settings | changes)).eval()


def written(folder: Path, scheduler: Any = None, safe: bool = True, **changes: Any) -> Path:
    small_unet(**changes).save_pretrained(folder / "unet", safe_serialization=safe)
    (scheduler or DDPMScheduler()).save_pretrained(folder / "scheduler")
    return folder


BETAS = {
    "linear": {"beta_schedule": "linear"},
    "linear, other ends": {"beta_start": 0.001, "beta_end": 0.3, "num_train_timesteps": 20},
    "scaled linear": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
    "short cosine": {"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 30},
    "a list": {"trained_betas": [0.1, 0.2, 0.3], "num_train_timesteps": 3},
}


@pytest.mark.parametrize("scheduler", [DDPMScheduler, DDIMScheduler])
@pytest.mark.parametrize("betas", list(BETAS))
def test_that_schedules_of_diffusers_are_read(scheduler: Any, betas: str, tmp_path: Path) -> None:
    theirs = scheduler(**BETAS[betas])
    theirs.save_pretrained(tmp_path)
    tables, kind = read_scheduler(json.loads((tmp_path / "scheduler_config.json").read_text()))
    assert kind == "eps"
    assert tables.steps == theirs.config.num_train_timesteps
    torch.testing.assert_close(tables.alpha_bar[1:].float(), theirs.alphas_cumprod, rtol=0, atol=1e-6)


@pytest.mark.parametrize("scheduler", [DDPMScheduler, DDIMScheduler])
@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_that_folders_of_diffusers_are_read(scheduler: Any, prediction: str, tmp_path: Path) -> None:
    theirs = scheduler(prediction_type=prediction, num_train_timesteps=40)
    folder = written(tmp_path, theirs)
    assert is_pipeline(folder)
    model = load_model(folder, CPU)
    assert (model.sides, model.channels, model.classes) == ((8, 8), 1, 0)
    x = NOISE.start((2, 1, 8, 8))
    with torch.inference_mode():
        output = small_unet()(x, 30).sample
    theirs.set_timesteps(40)
    x0_hat = theirs.step(output, 30, x).pred_original_sample
    torch.testing.assert_close(Clip()(model.denoiser(x, 31)).x0_hat, x0_hat, rtol=1e-4, atol=1e-4)


def test_that_a_whole_pipeline_of_diffusers_samples_the_same_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = DDPMPipeline(small_unet(), DDPMScheduler(num_train_timesteps=30, beta_end=0.3))
    pipeline.save_pretrained(tmp_path)
    samples = theirs_ddpm(pipeline, with_our_noise(monkeypatch), 30)
    found = ours(load_model(tmp_path, CPU).denoiser, DDPM(), tuple(range(30, -1, -1)))
    torch.testing.assert_close(found, samples, rtol=0, atol=1e-4)


def test_that_a_class_conditional_folder_is_read(tmp_path: Path) -> None:
    model = load_model(written(tmp_path, num_class_embeds=5), CPU)
    assert (model.classes, model.class_names) == (5, ("0", "1", "2", "3", "4"))
    x = NOISE.start((2, 1, 8, 8))
    with torch.inference_mode():
        expected = small_unet(num_class_embeds=5)(x, 3, class_labels=torch.tensor([4, 0])).sample
    prediction = model.denoiser(x, 4, torch.tensor([4, 0]))
    torch.testing.assert_close(prediction.eps_hat, expected, rtol=1e-5, atol=1e-6)
    for labels in (None, torch.tensor([-1, 0])):
        with pytest.raises(ValueError, match="knows no image without a class"):
            model.denoiser(x, 4, labels)


def test_that_weights_with_the_old_names_of_attention_are_read(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = written(tmp_path) / "unet/diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for name, tensor in tensors.items():
        for new, former in old.items():
            name = name.replace(f".{new}.", f".{former}.")
        renamed[name] = tensor
    assert renamed.keys() != tensors.keys()
    save_file(renamed, weights)
    loaded = load_model(tmp_path, CPU).denoiser.network.unet.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())


INDEX = "model_index.json"
UNET, SCHEDULER, STUDIO = "unet/config.json", "scheduler/scheduler_config.json", "studio.json"
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
REFUSED: dict[str, tuple[str, dict[str, Any] | str, str]] = {  # file, new values or text, words
    "another network": (UNET, {"_class_name": "UNet2DConditionModel"}, "UNet2DConditionModel"),
    "no class name": (UNET, {"_class_name": None}, "something else"),
    "a list": (UNET, "[]", "something else"),
    "not JSON": (UNET, "{", "is not valid JSON"),
    "unknown setting": (UNET, {"wings": 2}, "config is not valid"),
    "unknown block": (UNET, {"down_block_types": ["Evil", "Evil"]}, "config is not valid"),
    "no size": (UNET, {"sample_size": None}, "does not tell the size of its pictures: it is None"),
    "three sides": (UNET, {"sample_size": [8, 8, 8]}, "does not tell the size"),
    "half a pixel too many": (UNET, {"sample_size": [8, 9]}, "8 × 9 pixels do not go through"),
    "learned variance": (UNET, {"out_channels": 2}, "takes 1 channels but gives 2"),
    "other weights": (UNET, {"block_out_channels": [16, 16]}, "do not fit"),
    "more layers": (UNET, {"layers_per_block": 2}, "do not fit"),
    "no size at all": (UNET, {"sample_size": 0}, "sample_size is 0"),
    "a negative size": (UNET, {"sample_size": -8}, "sample_size is -8"),
    "a size that cannot be halved": (UNET, {"sample_size": 7}, "7 × 7 pixels do not go through"),
    "a size in words": (UNET, {"sample_size": "8"}, "sample_size is 8; it should be a whole number"),
    "five channels": (UNET, {"in_channels": 5, "out_channels": 5}, "have 5 channels"),
    "a shift out of range": (UNET, {"freq_shift": 4}, "freq_shift is 4"),
    "a shift in words": (UNET, {"freq_shift": "a"}, "freq_shift is a"),
    "very wide": (UNET, {"block_out_channels": [20_000, 20_000]}, "do not fit"),
    "widest": (UNET, {"block_out_channels": [10**9, 10**9]}, "block_out_channels should be"),
    "widths in words": (UNET, {"block_out_channels": "wide"}, "block_out_channels should be"),
    "very many classes": (UNET, {"num_class_embeds": 50_000_000}, "num_class_embeds is 50000000"),
    "many classes": (UNET, {"num_class_embeds": 5_000_000}, "do not fit"),
    "very many layers": (UNET, {"layers_per_block": 100_000}, "layers_per_block is 100000"),
    "a growing noise": (SCHEDULER, {"_class_name": "ScoreSdeVeScheduler"}, "ScoreSdeVeScheduler: its noise"),
    "a flow": (SCHEDULER, {"_class_name": "FlowMatchEulerDiscreteScheduler"}, "a flow on the straight path"),
    "the velocity of a flow": (SCHEDULER, {"prediction_type": "flow_prediction"}, "was shown x_u"),
    "flow sigmas": (SCHEDULER, {"use_flow_sigmas": True}, "a flow on the straight path"),
    "an unknown scheduler": (SCHEDULER, {"_class_name": "OtherScheduler"}, "scheduler is OtherScheduler"),
    "codes": (INDEX, '{"vqvae": ["diffusers", "VQModel"]}', "a model of codes"),
    "damaged weights": (WEIGHTS, "x" * 99, "is damaged"),
    "no weights": (WEIGHTS, "", "is damaged"),
    "scheduler not JSON": (SCHEDULER, "", "is not valid JSON"),
    "scheduler a list": (SCHEDULER, "[]", "not understood"),
    "unknown betas": (SCHEDULER, {"beta_schedule": "cubic"}, "'cubic' is not known"),
    "continuous time": (SCHEDULER, {"timestep_type": "continuous"}, "of continuous time"),
    "a schedule of its own": (
        SCHEDULER,
        {"_class_name": "IPNDMScheduler"},
        "IPNDMScheduler: it has a schedule",
    ),
    "vectors for classes": (UNET, {"class_embed_type": "identity"}, "class_embed_type 'identity'"),
    "a continuous embedding": (UNET, {"time_embedding_type": "fourier"}, "time_embedding_type 'fourier'"),
    "unknown prediction": (SCHEDULER, {"prediction_type": "flow"}, "'flow' is not known"),
    "no noise": (SCHEDULER, {"beta_start": 0.0}, "between 0 and 1"),
    "too much noise": (SCHEDULER, {"beta_end": 2.0}, "between 0 and 1"),
    "no steps": (SCHEDULER, {"num_train_timesteps": 0}, "from 2 to"),
    "endless steps": (SCHEDULER, {"num_train_timesteps": 10**12}, "from 2 to"),
    "steps that are no number": (SCHEDULER, {"num_train_timesteps": math.nan}, "not a number"),
    "a variance that is no number": (SCHEDULER, {"beta_end": math.inf}, "not a number"),
    "steps in words": (SCHEDULER, {"num_train_timesteps": "many"}, "cannot be used"),
    "betas in words": (SCHEDULER, {"trained_betas": ["a"] * 1000}, "cannot be used"),
    "too few betas": (SCHEDULER, {"trained_betas": [0.1]}, "lists 1 variances for 1000"),
    "betas no list": (SCHEDULER, {"trained_betas": 0.1}, "not understood"),
    "zero signal": (SCHEDULER, {"rescale_betas_zero_snr": True}, "keeps nothing of the image"),
    "names a list": (STUDIO, "[3]", "does not fit"),
    "names without classes": (STUDIO, '{"classes": 2, "class_names": ["a", "b"]}', "does not fit"),
    "names a number": (STUDIO, '{"classes": 2, "class_names": 2}', "does not fit"),
}


@pytest.mark.parametrize("reason", list(REFUSED))
def test_that_other_folders_are_refused_with_a_sentence(reason: str, tmp_path: Path) -> None:
    file, values, words = REFUSED[reason]
    folder = written(tmp_path / "model")
    load_model(folder, CPU)
    text = values if isinstance(values, str) else json.dumps(json.loads((folder / file).read_text()) | values)
    (folder / file).write_text(text)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_model(folder, CPU)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_that_a_folder_of_the_first_layout_is_read(tmp_path: Path) -> None:
    """All files in one folder, as the first models of diffusers lie."""
    folder = written(tmp_path / "new")
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in (UNET, SCHEDULER, WEIGHTS):
        (folder / name).rename(flat / Path(name).name)
    assert is_pipeline(flat)
    model = load_model(flat, CPU)
    assert (model.sides, model.channels) == ((8, 8), 1)


def test_that_weights_in_half_precision_are_read(tmp_path: Path) -> None:
    small_unet().half().save_pretrained(tmp_path / "unet", variant="fp16")
    DDPMScheduler().save_pretrained(tmp_path / "scheduler")
    parameters = [*load_model(tmp_path, CPU).denoiser.network.unet.parameters()]
    assert {p.dtype for p in parameters} == {torch.float32}


def test_that_a_network_with_a_learned_embedding_of_time_is_sampled(tmp_path: Path) -> None:
    changes = {"time_embedding_type": "learned", "num_train_timesteps": 1000}
    model = load_model(written(tmp_path, **changes), CPU)
    x = NOISE.start((2, 1, 8, 8))
    with torch.inference_mode():
        expected = small_unet(**changes)(x, 3).sample
    for _ in range(2):
        torch.testing.assert_close(model.denoiser(x, 4).eps_hat, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_that_weights_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = written(tmp_path) / WEIGHTS
    tensors = load_file(weights)
    tensors["conv_out.bias"][0] = value
    save_file(tensors, weights)
    with pytest.raises(CheckpointError, match=r"not numbers \(first conv_out\.bias\)"):
        load_model(tmp_path, CPU)


@pytest.mark.parametrize("kind", [torch.int8, torch.float8_e4m3fn, torch.bool])
def test_that_weights_that_only_stand_for_numbers_are_refused(kind: torch.dtype, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = written(tmp_path) / WEIGHTS
    save_file({name: tensor.to(kind) for name, tensor in load_file(weights).items()}, weights)
    with pytest.raises(CheckpointError, match=rf"of the kind {str(kind)[6:]} .*only stands for numbers"):
        load_model(tmp_path, CPU)


@pytest.mark.parametrize("file", ["unet/config.json", "scheduler/scheduler_config.json"])
def test_that_a_missing_file_is_named(file: str, tmp_path: Path) -> None:
    (written(tmp_path) / file).unlink()
    with pytest.raises(CheckpointError, match=f"{Path(file).name} is missing in"):
        load_model(tmp_path, CPU)


def test_that_pickled_weights_are_not_read(tmp_path: Path) -> None:
    folder = written(tmp_path, safe=False)
    assert list((folder / "unet").glob("*.bin"))
    with pytest.raises(CheckpointError, match=r"\.bin, a pickle, which can run code and is never read"):
        load_model(folder, CPU)


def test_that_a_folder_that_is_no_model_is_not_taken_for_one(tmp_path: Path) -> None:
    assert not is_pipeline(tmp_path)
    assert not is_pipeline(tmp_path / "nowhere")


def test_that_the_linear_schedule_of_diffusers_is_ours_at_1000_steps() -> None:
    torch.testing.assert_close(
        LinearSchedule().betas(1000).float(), DDPMScheduler().betas, rtol=1e-6, atol=1e-9
    )

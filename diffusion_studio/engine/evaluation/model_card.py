"""The model card of an exported run: what it was trained on, its figures, and how it is sampled elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import diffusion_studio
from diffusion_studio.core.words import english
from diffusion_studio.engine.runs.config import RunConfig

_UNCONDITIONAL = """\
from diffusers import DDPMPipeline

pipeline = DDPMPipeline.from_pretrained({folder!r})
images = pipeline(batch_size=4, num_inference_steps={steps}).images
images[0].save("sample.png")
"""

_CONDITIONAL = """\
import torch
from diffusers import DDIMScheduler, UNet2DModel

unet = UNet2DModel.from_pretrained({folder!r}, subfolder="unet")
scheduler = DDIMScheduler.from_pretrained({folder!r}, subfolder="scheduler")
scheduler.set_timesteps({steps})

labels = torch.arange({classes})  # one image of each class
no_class = torch.full_like(labels, {classes})
guidance = 2.0  # 1 is the plain conditional model

x = torch.randn({classes}, {channels}, {resolution}, {resolution})
for t in scheduler.timesteps:
    with torch.no_grad():
        output = unet(torch.cat([x, x]), t, class_labels=torch.cat([labels, no_class])).sample
    asked, free = output[:, :{channels}].chunk(2)  # what it predicts; more channels speak of the variance
    x = scheduler.step(free + guidance * (asked - free), t, x).prev_sample
images = ((x.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
"""


_LOOP = """\
import torch
from diffusers import DDIMScheduler, UNet2DModel

unet = UNet2DModel.from_pretrained({folder!r}, subfolder="unet")
scheduler = DDIMScheduler.from_pretrained({folder!r}, subfolder="scheduler")
scheduler.set_timesteps({steps})

x = torch.randn(4, {channels}, {resolution}, {resolution})
for t in scheduler.timesteps:
    with torch.no_grad():
        output = unet(x, t).sample
    x = scheduler.step(output[:, :{channels}], t, x).prev_sample  # more channels speak of the variance
images = ((x.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
"""

_CODE_UNCONDITIONAL = """\
from diffusers import AutoencoderKL, LDMPipeline

vae = AutoencoderKL.from_pretrained({folder!r}, subfolder="vae")
pipeline = LDMPipeline.from_pretrained({folder!r}, vqvae=vae)
images = pipeline(batch_size=4, num_inference_steps={steps}, eta=0.0).images
images[0].save("sample.png")
"""


def _decoded(loop: str) -> str:
    """The same of codes."""
    return loop.replace(
        "from diffusers import DDIM", "from diffusers import AutoencoderKL, DDIM"
    ).replace(
        "images = ((x.clamp",
        """vae = AutoencoderKL.from_pretrained({folder!r}, subfolder="vae")
with torch.no_grad():
    x = vae.decode(x).sample
images = ((x.clamp""",
    )  # fmt: skip


def _with_margin(loop: str, margin: tuple[int, int]) -> str:
    """The same of images that go through the network with zeros around them."""
    inside = f"{margin[0]} : {margin[0]} + {{resolution}}"
    return (
        loop.replace("import torch\n", "import torch\nfrom torch.nn.functional import pad\n", 1)
        .replace("unet(torch.cat([x, x])", f"unet(pad(torch.cat([x, x]), {margin * 2})")
        .replace("unet(x", f"unet(pad(x, {margin * 2})")
        .replace(").sample\n    ", f").sample[..., {inside}, {inside}]\n    ", 1)
    )


@dataclass(frozen=True)
class ModelFacts:
    """What a card tells."""

    name: str  # of the run
    folder: str  # that the model lies in, as it is called in the example
    step: int
    config: RunConfig
    manifest: Mapping[str, Any]  # data.json
    class_names: tuple[str, ...]  # that the network knows; empty without labels
    measured: Mapping[str, Any] | None  # evaluation.json, if it is of this step
    has_picture: bool  # whether samples.png lies beside it
    shape: tuple[int, int]  # channels and side of what the network makes, which in a code are codes
    margin: tuple[int, int] = (0, 0)  # zeros before and after it, each way, on its way through the network


def model_card(facts: ModelFacts) -> str:
    """The text of README.md, with the front matter that model hubs read."""
    parts = [
        _front_matter(facts), f"# {facts.name}", _summary(facts),
        "![Samples](samples.png)" if facts.has_picture else "",
        "## Sampling", _about_margin(facts), f"```python\n{example(facts)}```", _without_class(facts),
        "## Data", _data(facts), "## Training", _training(facts.config),
        *(("## Figures", _figures(facts.measured)) if facts.measured else ()),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def example(facts: ModelFacts) -> str:
    """Code that samples the model with diffusers alone."""
    classes, (channels, side) = len(facts.class_names), facts.shape
    return _example(facts).format(
        folder=facts.folder, steps=min(50, facts.config.diffusion.steps), classes=classes,
        channels=channels, resolution=side,
    )  # fmt: skip


def _example(facts: ModelFacts) -> str:
    in_a_code, has_margin = bool(facts.config.model.code), any(facts.margin)
    if not facts.class_names and not has_margin:
        return _CODE_UNCONDITIONAL if in_a_code else _UNCONDITIONAL
    loop = _CONDITIONAL if facts.class_names else _LOOP
    loop = _with_margin(loop, facts.margin) if has_margin else loop
    return _decoded(loop) if in_a_code else loop


def _front_matter(facts: ModelFacts) -> str:
    kind = "class-conditional-image-generation" if facts.class_names else "unconditional-image-generation"
    return "\n".join(["---", "library_name: diffusers", "tags:", f"- {kind}", "- ddpm", "---"])


def _summary(facts: ModelFacts) -> str:
    data, told = facts.config.data, "class-conditional " if facts.class_names else ""
    colours = "grey" if data.channels == 1 else "colour"
    return (
        f"A {told}diffusion model of {colours} images of {data.resolution} × {data.resolution} pixels, "
        f"trained for {facts.step:,} steps with Diffusion Studio {diffusion_studio.__version__}. The weights "
        f"are the running average (EMA).{_in_a_code(facts)}"
    )


def _in_a_code(facts: ModelFacts) -> str:
    if not facts.config.model.code:
        return ""
    channels, side = facts.shape
    return (
        f" It is a diffusion in a code: `unet` makes codes of {channels} × {side} × {side} numbers, and the "
        "autoencoder in `vae` pictures of them; what standardises the codes stands in its weights."
    )


def _about_margin(facts: ModelFacts) -> str:
    if not any(facts.margin):
        return ""
    side = facts.shape[1]
    inner = side + sum(facts.margin)
    return (
        f"The network was trained with zeros around its input, from {side} × {side} to {inner} × {inner}, "
        "which are cut off from its output. The pipelines of diffusers do not do that, this does:"
    )


def _without_class(facts: ModelFacts) -> str:
    if not facts.class_names:
        return ""
    named = ", ".join(f"{number} {name}" for number, name in enumerate(facts.class_names))
    return f"Classes: {named}; {len(facts.class_names)} stands for no class."


def _data(facts: ModelFacts) -> str:
    listed = facts.manifest.get("images")
    known = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    used = [each for each in known if not each.get("apart")]
    count = f"{len(used):,} images" if used else "Images"
    return f"{count} of `{facts.config.data.source}`, in [−1, 1]."


def _training(config: RunConfig) -> str:
    chosen = {
        "forward process": f"{english(config.diffusion.schedule.title)}, T = {config.diffusion.steps}",
        "predicts": config.objective.predict, "variance": config.objective.variance,
        "loss": english(config.objective.loss.title), "weight": english(config.objective.weight.title),
        "density of t": english(config.objective.density.title), "batch size": config.training.batch_size,
        "learning rate": config.training.learning_rate, "EMA decay": config.training.ema_decay,
        "seed": config.seed,
    }  # fmt: skip
    rows = "\n".join(f"| {name} | {value} |" for name, value in chosen.items())
    whole = json.dumps(config.model_dump(mode="json"), indent=1, ensure_ascii=False)
    folded = f"<details><summary>All of it</summary>\n\n```json\n{whole}\n```\n\n</details>"
    return f"| | |\n|---|---|\n{rows}\n\n{folded}"


def _figures(measured: Mapping[str, Any] | None) -> str:
    rows = []
    elbo, quality = (measured or {}).get("elbo"), (measured or {}).get("quality")
    if isinstance(elbo, Mapping):
        error = f"{elbo['total']:.3f} ± {elbo['total_error']:.3f}"
        rows.append(f"| bound on −log p, bits per dimension ({elbo['images']} images) | {error} |")
    if isinstance(beside := (measured or {}).get("yardsticks"), Mapping):
        rows.append(f"| the same of a histogram of each pixel | {beside['histogram']:.3f} |")
        rows.append(f"| the same of a normal distribution | {beside['gaussian']:.3f} |")
    if isinstance(quality, Mapping):
        rows += [
            f"| Fréchet distance, {quality['count']} samples | {quality['frechet']:.3f} |",
            f"| the same of real images | {quality['real_frechet']:.3f} |",
            f"| precision, recall | {quality['precision']:.3f}, {quality['recall']:.3f} |",
        ]
    return "| | |\n|---|---|\n" + "\n".join(rows)

"""What the command line can do, known without importing any of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

COMPLETE = "_DIFFUSION_STUDIO_COMPLETE"  # set by a shell that asks how a line goes on


@dataclass(frozen=True)
class Command:
    """A command of the program: `module` holds it as the Typer `app`; `summary` is what it says of itself."""

    module: str
    summary: str


COMMANDS: Mapping[str, Command] = MappingProxyType({
    "train": Command("diffusion_studio.cli.train", "Train a model on DATA."),
    "sample": Command("diffusion_studio.cli.sample", "Sample from a trained model."),
    "train-classifier": Command(
        "diffusion_studio.cli.train_classifier",
        "Train a classifier of noisy images on the data of RUN, and keep it there.",
    ),
    "train-autoencoder": Command(
        "diffusion_studio.cli.train_autoencoder", "Train an autoencoder on DATA."
    ),
    "export": Command("diffusion_studio.cli.export", "Write the model of RUN as a folder for diffusers."),
    "evaluate": Command("diffusion_studio.cli.evaluate", "Measure a trained model."),
    "doctor": Command(
        "diffusion_studio.cli.doctor",
        "Show versions, devices and missing libraries, and what to do about each.",
    ),
})  # fmt: skip
"""In the order in which help lists them."""

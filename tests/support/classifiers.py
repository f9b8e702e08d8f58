"""Runs whose pictures a classifier can tell apart, and whose best possible accuracy is known."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.engine.classifier.training import ClassifierSpec, train_classifier
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.run import Run
from support.tiny import CPU, begin, finish, tiny_config

BRIGHT, DARK = 153, 102  # ±0.2 in the range [−1, 1]
NORM = 0.2 * 8  # ‖m‖ of both patterns, which are m and −m
NARROW = partial(ClassifierSpec, width=8, batch_size=16)  # measuring it takes a fifth of the time
QUICK = ClassifierSpec(steps=3, seconds=0, width=8, batch_size=16)


def write_two_patterns(folder: Path, each: int = 20) -> Path:
    """Two classes of grey 8 × 8 pictures: the left half bright, or the right half; all alike in a class."""
    for name, left, right in (("left", BRIGHT, DARK), ("right", DARK, BRIGHT)):
        (folder / name).mkdir(parents=True)
        pixels = np.full((8, 8), left, np.uint8)
        pixels[:, 4:] = right
        for number in range(each):
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def best_accuracy(tables: Tables, t: int) -> float:
    """What the exact posterior of two points m and −m reaches: Φ(√ᾱ ‖m‖ / √(1−ᾱ))."""
    alpha_bar = tables.alpha_bar_at(t)
    return 0.5 * (1 + math.erf(NORM * math.sqrt(alpha_bar / (1 - alpha_bar)) / math.sqrt(2)))


def make_run(path: Path, source: Path | str, **config: object) -> Path:
    """A run with one checkpoint."""
    finish(begin(path, tiny_config(source, steps=1, **config)))  # type: ignore[arg-type]
    return path


def train_on(
    run: Path | Run, spec: ClassifierSpec = QUICK, control: Control | None = None
) -> list[events.Event]:
    """Every event of the training of a classifier, to its end."""
    path = run.path if isinstance(run, Run) else run
    return list(train_classifier(path, spec, CPU, control or Control()))

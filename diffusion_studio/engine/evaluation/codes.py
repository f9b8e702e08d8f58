"""What a trained autoencoder is worth: its bound in bits per dimension, and the quality of its samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.autoencoder.measures import CodeReport, measure
from diffusion_studio.engine.autoencoder.model import CodeModel, open_model
from diffusion_studio.engine.evaluation.evaluation import FEW_SAMPLES, FEWEST_COMPARED, FILE, EvaluationSpec
from diffusion_studio.engine.evaluation.text import quality_lines, yardstick_lines
from diffusion_studio.engine.evaluation.yardsticks import Yardsticks, yardsticks
from diffusion_studio.engine.files.files import to_json, write_atomically
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig
from diffusion_studio.engine.runs.quality import FEWEST, Quality, QualitySpace
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.moved import with_images_at
from diffusion_studio.engine.training.run_data import RunData, load_run_data


@dataclass(frozen=True)
class CodeEvaluation:
    """What was measured about one checkpoint."""

    run: str
    kind: str
    step: int
    held_out: bool  # whether the images of the bound were never trained on
    bound: CodeReport | None = None
    quality: Quality | None = None
    yardsticks: Yardsticks | None = None  # beside the bound

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class CodeEvaluated(events.Event):
    """An evaluation is complete."""

    evaluation: CodeEvaluation
    notes: tuple[str, ...] = ()


def evaluate_code(
    path: Path, spec: EvaluationSpec, device: torch.device, control: Control
) -> Iterator[events.Event]:
    """Measures the newest sound checkpoint of an autoencoder's run, and keeps the result in its folder.

    Args:
        spec: `draws` is K of the importance weights.

    Raises:
        Refused: no run, no checkpoint or no images; the message is a sentence for a person.
    """
    run = with_images_at(Run.open_as(path, AutoencoderConfig), spec.data)
    model = open_model(path, device)
    try:
        data = load_run_data(run, None, lambda: control.stopped)
    except Cancelled:
        return
    notes = (*model.notes, *data.notes)
    report = quality = beside = None
    if spec.elbo:
        if not len(data.apart):
            notes += (
                tr("This run keeps no images apart, so the bound is measured on images it was trained on."),
            )
        for found in _bound(model, data, spec):
            if control.stopped:
                return
            if isinstance(found, CodeReport):
                report, beside = found, _beside(found, data, spec)
            else:
                yield events.Preparing(tr("measuring the bound"), *found)
    if spec.quality:
        yield events.Preparing(tr("drawing samples"), 0, 0)
        quality = _quality(model, data, spec)
    done = CodeEvaluation(run.name, run.config.kind, model.step, len(data.apart) > 0, report, quality, beside)
    write_atomically(run.path / FILE, to_json(done.to_dict()))
    yield CodeEvaluated(done, notes)


def _bound(model: CodeModel, data: RunData, spec: EvaluationSpec) -> Iterator[tuple[int, int] | CodeReport]:
    return measure(model, _measured(data, spec), spec.draws, spec.seed)


def _measured(data: RunData, spec: EvaluationSpec) -> NDArray[np.uint8]:
    """An even choice of the images that are kept apart, or of all. (n, C, H, W)"""
    numbers = data.apart if len(data.apart) else data.trained
    chosen = np.unique(np.linspace(0, len(numbers) - 1, min(spec.images, len(numbers))).astype(np.int64))
    found: NDArray[np.uint8] = data.images.images[numbers[chosen]]
    return found


def _beside(report: CodeReport, data: RunData, spec: EvaluationSpec) -> Yardsticks | None:
    """The yardsticks of a bound on the mass of bytes; where pixels are black or white they tell nothing."""
    if report.binary or math.isnan(report.total):
        return None
    return yardsticks(data.images.images, _measured(data, spec), data.trained)


def _quality(model: CodeModel, data: RunData, spec: EvaluationSpec) -> Quality:
    if spec.samples < FEWEST:
        raise Refused(FEW_SAMPLES.format(count=spec.samples))
    if len(data.trained) < FEWEST_COMPARED:
        raise Refused(
            tr(
                "{model} has {count} images to compare samples with; at least {fewest} are needed.",
                model=model.name,
                count=len(data.trained),
                fewest=FEWEST_COMPARED,
            )
        )
    samples = model.samples(spec.samples, spec.seed).transpose(0, 3, 1, 2)
    return QualitySpace(data.images.images, data.trained).measure(samples)


def code_lines(found: CodeEvaluation) -> list[str]:
    """What was measured, for a terminal."""
    lines = [f"{found.run} ({found.kind}), step {found.step:,}"]
    if found.bound is not None:
        lines += _bound_lines(found.bound, "held-out" if found.held_out else "training")
    if found.yardsticks is not None:
        lines += yardstick_lines(found.yardsticks)
    if found.quality is not None:
        lines += quality_lines(found.quality)
    return lines


def _bound_lines(b: CodeReport, split: str) -> list[str]:
    error = f"squared error per pixel      {b.squared_error:8.4f} ({b.images} {split} images)"
    if math.isnan(b.total):
        return [error, "a plain autoencoder has no bound: it is no model of p(x)"]
    pixels = ", pixels black or white" if b.binary else ""
    return [
        error,
        f"bound on −log p, bits per dimension{pixels}",
        f"  −ELBO                    {b.total:8.4f} ± {b.total_error:.4f}",
        f"  reconstruction           {b.reconstruction:8.4f}",
        f"  KL                       {b.kl:8.4f}",
        f"  −log p, {b.draws} weighted draws {b.weighted:8.4f}, gap {b.gap:.4f} (Luo eq. 9–16)",
        f"  active                   {b.active} of {len(b.latents)}",
    ]

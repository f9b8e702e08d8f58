"""What a trained autoencoder is worth: its bound in bits per dimension, and the quality of its samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from diffusion_studio.core.words import tr
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.autoencoder.measures import CodeReport, measure
from diffusion_studio.engine.autoencoder.model import CodeModel, open_model
from diffusion_studio.engine.evaluation.evaluation import (
    NOT_APART,
    EvaluationSpec,
    check_enough,
    even,
    keep,
    measured_images,
    parts_of,
    read_kept,
    seen_before,
)
from diffusion_studio.engine.evaluation.text import quality_lines, yardstick_lines
from diffusion_studio.engine.evaluation.yardsticks import Yardsticks, yardsticks
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig
from diffusion_studio.engine.runs.quality import Quality, QualitySpace
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
        images, numbers, held_out = measured_images(run, data, lambda: control.stopped)
    except Cancelled:
        return
    check_enough(run, spec, len(numbers), len(data.trained))
    notes = (*model.notes, *data.notes, *seen_before(data, images))
    if spec.elbo and not held_out:
        notes += (NOT_APART,)
    done = CodeEvaluation(run.name, run.config.kind, model.step, held_out)
    if spec.elbo:
        chosen = images.images[even(numbers, spec.images)]
        for found in measure(model, chosen, spec.draws, spec.seed):
            if control.stopped:
                return
            if isinstance(found, CodeReport):
                done = replace(done, bound=found, yardsticks=_beside(found, data, chosen))
            else:
                yield events.Preparing(tr("measuring the bound"), *found)
    if spec.quality:
        yield events.Preparing(tr("drawing samples"), 0, 0)
        try:
            done = replace(done, quality=_quality(model, data, spec, control))
        except Cancelled:
            return
    keep(run, done.to_dict(), partial(read_code_evaluation, run))
    yield CodeEvaluated(done, notes)


def _beside(report: CodeReport, data: RunData, chosen: NDArray[np.uint8]) -> Yardsticks | None:
    """The yardsticks of a bound on the mass of bytes; where pixels are black or white they tell nothing."""
    if report.binary or math.isnan(report.total):
        return None
    return yardsticks(data.images.images, chosen, data.trained)


def _quality(model: CodeModel, data: RunData, spec: EvaluationSpec, control: Control) -> Quality:
    """What samples say.

    Raises:
        Cancelled: it was stopped.
    """

    def heed() -> None:
        if control.stopped:
            raise Cancelled

    samples = model.samples(spec.samples, spec.seed, heed).transpose(0, 3, 1, 2)
    return QualitySpace(data.images.images, data.trained).measure(samples)


class _Kept(BaseModel):
    """An evaluation on disk; what a newer version measured beside it is left out."""

    run: str
    kind: str
    step: int = Field(ge=0)
    held_out: bool
    bound: CodeReport | None = None
    quality: Quality | None = None
    yardsticks: Yardsticks | None = None


def read_code_evaluation(run: Run[AutoencoderConfig]) -> dict[str, Any] | None:
    """What was measured about the run of an autoencoder, or None.

    Raises:
        Refused: there is something that cannot be read; the message is a sentence for a person.
    """
    kept = read_kept(run, _Kept)
    return None if kept is None else CodeEvaluation(**parts_of(kept)).to_dict()


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

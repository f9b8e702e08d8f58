"""One run as the list of runs shows it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.files.pictures import read_grid
from diffusion_studio.engine.labbook.entries import Entry, read_entry
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig
from diffusion_studio.engine.runs.config import RunConfig, TrainingConfig
from diffusion_studio.engine.runs.run import Run, changed_at

log = logging.getLogger(__name__)
NOTHING = Entry()
RECENT = 100  # losses that the shown average covers


@dataclass(frozen=True, eq=False)
class RunSummary:
    """One line of the list."""

    path: Path
    kind: str  # of training, as config.json names it
    in_a_code: bool
    data: str
    step: int
    loss: float  # mean of the newest losses; NaN when there are none
    size: int  # bytes
    seconds: float
    changed: float  # when its newest checkpoint was written
    picture: NDArray[np.uint8] | None  # newest samples (n, H, W, C)
    entry: Entry = NOTHING  # what a person wrote about it
    problem: str = ""  # why nothing can be done with it
    remark: str = ""  # what else there is to say

    @property
    def name(self) -> str:
        return self.entry.name or self.path.name


def summary_of(path: Path) -> RunSummary:
    """One run as the list shows it; one that cannot be read says why, and costs no other its line."""
    entry, remark = read_entry(path)
    try:
        return _summary(Run.open_as(path, TrainingConfig), entry, remark)
    except Refused as error:
        problem = str(error)
    except Exception:
        log.exception("The run %s cannot be listed", path)
        problem = tr("It cannot be read; what happened is in the log.")
    return unreadable(path, problem, entry)


def unreadable(path: Path, problem: str, entry: Entry = NOTHING) -> RunSummary:
    """The line of a run of which nothing but its place is known."""
    return RunSummary(path, "", False, "", 0, np.nan, 0, 0.0, changed_at(path), None, entry, problem)


def _summary(run: Run[TrainingConfig], entry: Entry, remark: str) -> RunSummary:
    losses = run.metrics.losses().losses[-RECENT:]
    losses = losses[np.isfinite(losses)]
    loss = float(losses.mean()) if len(losses) else np.nan
    spec = data_of(run.config)
    data = Path(spec.source).name if spec is not None else ""
    return RunSummary(
        run.path, run.config.kind, _in_a_code(run.config), data, run.step, loss, run.size,
        run.trained_seconds, changed_at(run.path), _newest_picture(run), entry, remark=remark,
    )  # fmt: skip


def _in_a_code(config: TrainingConfig) -> bool:
    return isinstance(config, RunConfig) and bool(config.model.code)


def data_of(config: TrainingConfig) -> DataSpec | None:
    """The images of a training; None of one that has no images."""
    return config.data if isinstance(config, RunConfig | AutoencoderConfig) else None


def _newest_picture(run: Run[TrainingConfig]) -> NDArray[np.uint8] | None:
    paths, spec = sorted(run.sample_folder.glob("step-*.png")), data_of(run.config)
    if not paths or spec is None:
        return None
    return samples_in(paths[-1], spec.resolution)


def samples_in(path: Path, side: int) -> NDArray[np.uint8] | None:
    """The samples of one preview; None where its file is gone, or is none. (n, H, W, C)"""
    try:
        return read_grid(path, side, side)
    except (OSError, Refused):
        return None

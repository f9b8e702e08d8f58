"""What the errors by timestep of a run are compared with: an earlier moment of it, or another run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.process.schedules import CosineSchedule, LinearSchedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.words import tr
from diffusion_studio.engine.labbook.entries import called
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.run import Run, RunError, list_runs
from diffusion_studio.engine.training.events import TimestepErrors

Floats = NDArray[np.float64]
OTHERS = 12  # runs offered for comparison


@dataclass(frozen=True, eq=False)
class Comparison:
    """Errors by timestep that are laid over those of the shown run."""

    name: str
    errors: TimestepErrors
    total: int  # its T
    log_snr: NDArray[np.float64]


def log_snr_at(tables: Tables, t: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln SNR at (fractional) times t. (N,)"""
    log_snr = tables.log_snr.numpy()
    values: NDArray[np.float64] = np.interp(t, np.arange(1, len(log_snr)), log_snr[1:])
    return values


@lru_cache(maxsize=4)
def _fixed_tables(steps: int) -> dict[str, Tables]:
    chosen = {tr("cosine"): CosineSchedule(), tr("linear β"): LinearSchedule()}
    return {name: Tables.from_betas(schedule.betas(steps)) for name, schedule in chosen.items()}


def fixed_schedules(steps: int, t: Floats) -> dict[str, Floats]:
    """ln SNR of two well-known schedules at times t, by name. (N,)"""
    return {name: log_snr_at(tables, t) for name, tables in _fixed_tables(steps).items()}


def other_runs(folder: Path, shown: Path | None) -> list[tuple[str, str]]:
    """(path, name) of the newest runs in `folder` beside the shown one."""
    found = [path for path in list_runs(folder, RunConfig.kind) if path != shown]
    return [(str(path), called(path)) for path in found[:OTHERS]]


def comparison_with(path: Path) -> Comparison | None:
    """The newest errors by timestep of a run, or None when it has none."""
    try:
        run = Run.open(path)
    except RunError:
        return None
    record = run.metrics.timesteps()
    if record is None:
        return None
    tables = run.config.diffusion.tables()
    errors = TimestepErrors(**vars(record))
    log_snr = log_snr_at(tables, record.t) if record.log_snr is None else record.log_snr
    return Comparison(called(path), errors, tables.steps, log_snr)

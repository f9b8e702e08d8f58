"""What the errors by timestep of a run are compared with: an earlier moment of it, or another run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.tables import Tables
from diffusion_studio.engine.events import TimestepErrors
from diffusion_studio.engine.run import Run, RunError, list_runs

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


def other_runs(folder: Path, shown: Path | None) -> list[tuple[str, str]]:
    """(path, name) of the newest runs in `folder` beside the shown one."""
    found = [path for path in list_runs(folder) if path != shown]
    return [(str(path), path.name) for path in found[:OTHERS]]


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
    return Comparison(run.name, errors, tables.steps, log_snr_at(tables, record.t))

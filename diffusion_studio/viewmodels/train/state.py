"""What the Train page shows, as frozen values, and how progress is put into words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.describe import knobs
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.viewmodels.notice import Notice

Phase = Literal["idle", "preparing", "running", "paused", "stopping"]
THUMBNAILS = 16
LIVE = ("objective.weight", "objective.density", "objective.loss")  # may change while training


@dataclass(frozen=True, eq=False)
class DataCardState:
    """What the data card shows."""

    name: str
    count: int
    class_names: tuple[str, ...]
    size: str
    thumbnails: NDArray[np.uint8]
    skipped: tuple[tuple[str, str], ...]
    how: str = ""  # how the classes were found, as a sentence
    notes: tuple[str, ...] = ()  # what else a person should know of the set


@dataclass(frozen=True)
class TrainState:
    """Everything on the Train page but the curves."""

    config: RunConfig
    preset: str
    phase: Phase = "idle"
    data: DataCardState | None = None
    reading: tuple[int, int] | None = None  # (done, total) while images are read
    run: Path | None = None
    run_steps: int = 1000  # T of the run that is shown
    step: int = 0
    fraction: float = 0.0
    detail: str = ""
    device: str = ""
    saved_step: int = 0
    errors: tuple[tuple[str, str], ...] = ()  # (path, sentence) of parameters
    marks: tuple[tuple[int, str], ...] = ()  # (step, what was changed about the objective)
    notice: Notice | None = None
    smaller_batch: int = 0  # offered after running out of memory
    can_undo: bool = False
    can_redo: bool = False

    @property
    def busy(self) -> bool:
        return self.phase != "idle"


def fixed_reasons(state: TrainState) -> dict[str, str]:
    """Why parameters cannot change now, by path."""
    if not state.busy:
        return {}
    reason = "This training is running with this value. Stop it to change the value."
    return {k.path: reason for k in knobs(state.config) if not k.path.startswith(LIVE)}


def data_card(images: ImageSet) -> DataCardState:
    numbers = np.linspace(0, images.count - 1, min(images.count, THUMBNAILS)).astype(np.int64)
    colour = "grey" if images.channels == 1 else "colour"
    return DataCardState(
        images.name, images.count, images.class_names if images.conditional_possible else (),
        f"{images.resolution}×{images.resolution} {colour}",
        np.ascontiguousarray(images.images[numbers].transpose(0, 2, 3, 1)),
        tuple((s.file, s.reason) for s in images.skipped),
        images.how, images.notes,
    )  # fmt: skip


def progress_text(event: events.Progress) -> str:
    """ "step 657 of 3,000 · 1,130 images/s · 3 min 32 s left"."""
    total = f" of {event.total_steps:,}" if event.total_steps else ""
    left = event.seconds_left
    ending = f" · {duration(left)} left" if left is not None else f" · {duration(event.seconds)} so far"
    return f"step {event.step:,}{total} · {event.images_per_second:,.0f} images/s{ending}"


def duration(seconds: float) -> str:
    """ "12 s", "3 min 32 s", "1 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"

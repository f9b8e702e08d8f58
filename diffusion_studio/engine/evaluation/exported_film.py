"""The training of a run as a film: the samples that it drew on the way, from the first to the newest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.files.pictures import read_pixels, save_animation
from diffusion_studio.engine.files.videos import VIDEO, check_video
from diffusion_studio.engine.runs.config import TrainingConfig
from diffusion_studio.engine.runs.run import Run

MOST = 200  # pictures; longer trainings are thinned out
MILLISECONDS = 120
GROUND = 32  # grey beside pictures that are smaller than others


def export_film(path: Path, file: Path) -> tuple[str, ...]:
    """Writes a GIF, WebP, APNG or MP4, by the file's name.

    Returns:
        Sentences about samples that could not be read.

    Raises:
        Refused: no run, no samples, or an MP4 where the library for it is not installed.
        OSError: the file cannot be written.
    """
    if file.suffix.lower() == VIDEO:
        check_video()
    run = Run.open_as(path, TrainingConfig)
    drawn = sorted(run.sample_folder.glob("step-*.png"))
    frames, notes = [], []
    for number in np.unique(np.linspace(0, len(drawn) - 1, min(MOST, len(drawn))).round().astype(int)):
        try:
            frames.append(read_pixels(drawn[number]))
        except (OSError, Refused):
            notes.append(tr("{name} cannot be read, so it is left out.", name=drawn[number].name))
    if not frames:
        raise Refused(tr("{run} has no samples from which its training could be shown.", run=run.name))
    file.parent.mkdir(parents=True, exist_ok=True)
    save_animation(file, of_one_size(frames), {"run": run.name, "steps": run.step}, MILLISECONDS)
    return tuple(notes)


def of_one_size(frames: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Pictures (H, W, C), each on ground as large as the largest of them, at its top left."""
    height, width = (max(frame.shape[axis] for frame in frames) for axis in (0, 1))
    channels = max(frame.shape[2] for frame in frames)
    found = []
    for frame in frames:
        ground = np.full((height, width, channels), GROUND, np.uint8)
        ground[: frame.shape[0], : frame.shape[1]] = frame
        found.append(ground)
    return found

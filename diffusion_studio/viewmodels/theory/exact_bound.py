"""The bound of the exact denoiser of the built-in digits: nothing needs to be trained for it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from diffusion_studio.core.denoisers.exact import MemorisingDenoiser
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import to_model_range
from diffusion_studio.data.spec import DIGITS
from diffusion_studio.engine.chains.source import MEMORISING, training_images
from diffusion_studio.engine.evaluation.evaluation import Evaluated, Evaluation
from diffusion_studio.engine.evaluation.measured_bound import BoundReport, measure_bound
from diffusion_studio.engine.evaluation.yardsticks import yardsticks
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control

EXACT = f"{MEMORISING}{DIGITS}"  # in the place of a run's path
NAME = tr("digits · memorising (exact)")
IMAGES, DRAWS = 64, 2


def evaluate_exact(tables: Tables, control: Control, images: int = IMAGES) -> Iterator[events.Event]:
    """Measures the bound of a denoiser that knows the digits by heart, on some of them.

    Args:
        images: on how many.
    """
    known = training_images(EXACT)
    denoiser = MemorisingDenoiser(tables, torch.from_numpy(to_model_range(known.images)).double())
    numbers = np.linspace(0, known.count - 1, images).astype(np.int64)
    for found in measure_bound(denoiser, known, numbers, DRAWS, 0, torch.device("cpu")):
        if control.stopped:
            return
        if isinstance(found, BoundReport):
            beside = yardsticks(known.images, known.images[numbers], np.arange(known.count))
            yield Evaluated(Evaluation(NAME, 0, held_out=False, elbo=found, yardsticks=beside))
        else:
            yield events.Preparing(tr("measuring the bound"), *found)

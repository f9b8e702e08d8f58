"""How often a classifier of noisy images is right, over t: where does it stop knowing?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from diffusion_studio.core.guidance.guidance import Classifier
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.tables import Tables, diffuse
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import ImageSet, to_model_range

TIMES = 21  # at which it is measured
IMAGES = 1000  # noised at each of them
_PIXELS_AT_ONCE = 256 * 32 * 32


class AccuracyCurve(BaseModel):
    """Share of right answers at some times, rising from 1 to T."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    t: tuple[int, ...]
    accuracy: tuple[float, ...]

    def known_until(self, classes: int) -> float:
        """The t at which accuracy falls below the middle between guessing and certainty; 0: at once."""
        middle = (1 + 1 / classes) / 2
        for k, value in enumerate(self.accuracy):
            if value < middle:
                if k == 0:
                    return 0.0
                before = self.accuracy[k - 1]
                return self.t[k - 1] + (self.t[k] - self.t[k - 1]) * (before - middle) / (before - value)
        return float(self.t[-1]) if self.t else 0.0


def accuracy_sentence(curve: AccuracyCurve, classes: int) -> str:
    """What an accuracy over t says, for a person."""
    first, last, until = curve.accuracy[0], curve.accuracy[-1], curve.known_until(classes)
    sentence = tr(
        "Right in {first:.1f} % at t = {t}, in {last:.1f} % at t = {end} (guessing: {guessed:.1f} %)",
        first=100 * first,
        t=curve.t[0],
        last=100 * last,
        end=curve.t[-1],
        guessed=100 / classes,
    )
    return (
        tr("{sentence}; halfway to guessing at t ≈ {until:.0f}.", sentence=sentence, until=until)
        if until
        else f"{sentence}."
    )


def measured_times(steps: int, count: int = TIMES) -> tuple[int, ...]:
    """Times spread evenly over 1 … T, both ends among them."""
    return tuple(sorted({1 + round(k * (steps - 1) / (count - 1)) for k in range(count)}))


def accuracies(
    classifier: Classifier, tables: Tables, images: ImageSet, numbers: NDArray[np.int64],
    times: Sequence[int], device: torch.device, count: int = IMAGES, seed: int = 0,
) -> Iterator[float]:  # fmt: skip
    """The share of right answers at each of `times`, one after another.

    Args:
        numbers: of the images to choose from.
        count: about how many are noised; fewer images are taken several times.
        seed: of the noise, which is the same in every measurement.
    """
    places = np.linspace(0, len(numbers) - 1, min(len(numbers), count)).round().astype(np.int64)
    chosen = np.tile(numbers[places], max(1, count // len(places)))
    size = max(1, _PIXELS_AT_ONCE // images.resolution**2)
    labels = torch.from_numpy(images.labels[chosen]).to(device)
    for t in times:
        noise, right = CounterNoise(seed).step(t, (len(chosen), *images.images.shape[1:])), 0
        for start in range(0, len(chosen), size):
            part = slice(start, start + size)
            x_0 = torch.from_numpy(to_model_range(images.images[chosen[part]]))
            x_t = diffuse(x_0, noise[part], tables.alpha_bar_at(t)).to(device)
            with torch.inference_mode():
                found = classifier.log_probs(x_t, t).argmax(1)
            right += int((found == labels[part]).sum())
        yield right / len(chosen)

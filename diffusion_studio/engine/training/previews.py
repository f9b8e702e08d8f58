"""Samples drawn from the EMA weights while training, always from the same noise."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.denoisers.denoiser import NO_LABEL
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.spacing import TrailingSpacing
from diffusion_studio.core.samplers import DDIM
from diffusion_studio.core.steps.clipping import Clip, Clipping, Unclipped
from diffusion_studio.data.imageset import to_uint8
from diffusion_studio.engine.files.pictures import save_grid
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop.task import Counters
from diffusion_studio.engine.runs.config import PARTS_MEASURED
from diffusion_studio.engine.runs.quality import FEWEST, Quality, QualitySpace
from diffusion_studio.engine.training.events import Preview
from diffusion_studio.engine.training.forecast import first_shapes
from diffusion_studio.engine.training.session import Session

STEPS = 20
SEED = 0
AT_ONCE = 1 << 21  # numbers of the samples that are drawn together
FIRST_AFTER = 2.0  # seconds of training
FEW = 4  # samples of an early preview where each takes long
SOON = 20.0  # seconds of training until the next preview, where so few make that possible
ASKED = 1 / 3  # of the time in which a picture is trained on goes into asking the network


class Previewer:
    """Draws previews seldom enough to stay within their share of the time, and small enough to be soon.

    One comes when first shapes are usually seen, and those after it pay for it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._spec = session.config.training
        self._next = session.counters.seconds + FIRST_AFTER
        images, step = session.images, session.counters.step
        shapes = first_shapes(images.resolution, images.channels)
        self._shapes = shapes if step < shapes else math.inf  # one comes at this step
        self._drawn_step = -1
        self._began = 0.0  # with the newest preview
        self._paid = 0.0  # seconds of training from which on the previews before it have their share
        self._space: QualitySpace | None = None

    def due(self, step: int, seconds: float) -> bool:
        """Whether a preview comes: when those before have their share, and once first shapes are usual."""
        wanted = self._spec.preview_count > 0 and self._spec.preview_share > 0
        return wanted and (seconds >= self._next or step >= self._shapes)

    def wanted(self, step: int, control: Control) -> bool:
        """Whether a last picture is worth drawing: none when somebody waits for the end."""
        return self._spec.preview_count > 0 and step != self._drawn_step and not control.stopped

    def draw(self, counters: Counters, control: Control) -> Preview | None:
        """The preview of this moment, saved beside the earlier ones; None when a stop came first.

        Raises:
            OSError: it could not be saved.
        """
        return self._drawn(counters, control, self.affordable(counters))

    def draw_all(self, counters: Counters, control: Control) -> Preview | None:
        """As `draw`, of as many samples as are asked for, whatever time that takes."""
        return self._drawn(counters, control, self._spec.preview_count)

    def affordable(self, counters: Counters) -> int:
        """How many samples the next preview has: all of them where the one after it then comes soon, or
        after a third of the time trained so far; fewer at first where a sample takes longer, at least four.
        """
        spec, steps = self._spec, min(STEPS, self._session.learner.tables.steps)
        cost = ASKED * steps * counters.seconds / max(counters.position, 1)  # seconds of one sample
        count, most = spec.preview_count, max(SOON, counters.seconds / 3) * spec.preview_share
        while count > FEW and count * cost > most:
            count = max(FEW, count // 2)
        return count

    def _drawn(self, counters: Counters, control: Control, count: int) -> Preview | None:
        self._began, self._paid = time.perf_counter(), max(self._next, counters.seconds)
        if counters.step >= self._shapes:
            self._shapes = math.inf
        labels = self._labels(count)
        images = self._sample(labels, control)
        if images is None:
            return None
        if count == self._spec.preview_count:
            self._drawn_step = counters.step
        classes = self._session.images.class_names
        names = tuple(classes[k] if k >= 0 else "" for k in labels)
        try:
            path = self._save(counters.step, images)
        finally:
            self._rest()
        return Preview(counters.step, images, names, path)

    def _rest(self) -> None:
        """Puts the next preview off by the time that this one took."""
        spent = time.perf_counter() - self._began
        self._next = self._paid + spent / max(self._spec.preview_share, 1e-3)

    def measured(self, preview: Preview) -> Quality | None:
        """How near the samples come to the training images; too few of them say nothing."""
        images = preview.images
        if len(images) < FEWEST or self._session.batches.count < 4:
            return None
        if self._space is None:  # of large pictures a matter of seconds
            self._space = QualitySpace(self._session.images.images, self._session.batches.numbers)
        quality = self._space.measure(images.transpose(0, 3, 1, 2))
        self._rest()
        return quality

    def _labels(self, count: int) -> NDArray[np.int64]:
        """Every class in turn. (n,)"""
        classes = self._session.learner.classes
        return np.arange(count) % classes if classes else np.full(count, NO_LABEL)

    @property
    def _clip(self) -> Clipping:
        """What is done to estimates; codes have no range that they could leave."""
        return Clip() if self._session.code is None else Unclipped()

    def _sample(self, labels: NDArray[np.int64], control: Control) -> NDArray[np.uint8] | None:
        learner, examples = self._session.learner, self._session.batches.examples
        shape = (self._spec.preview_count, *examples.shape)  # so that each sample keeps its noise
        noise = CounterNoise(SEED, learner.device)
        times = TrailingSpacing().times(learner.tables, min(STEPS, learner.tables.steps))
        start = noise.start(shape)[: len(labels)].contiguous(memory_format=learner.memory_format)
        asked, at_once = torch.from_numpy(labels).to(learner.device), max(1, AT_ONCE // start[0].numel())
        found = []
        for first in range(0, len(labels), at_once):  # large pictures have no room for all together
            rows = slice(first, first + at_once)
            x = start[rows]
            for step in reverse_chain(
                learner.denoiser(), DDIM(), times, x, noise.step, asked[rows], self._clip
            ):
                if control.stopped:
                    return None
                x = step.x_s
            found.append(to_uint8(examples.pictures(x).cpu().numpy()))
        return np.concatenate(found).transpose(0, 2, 3, 1)

    def _save(self, step: int, images: NDArray[np.uint8]) -> Path:
        path = self._session.run.sample_folder / f"step-{step:08d}.png"
        config = self._session.config.model_dump(mode="json")
        save_grid(
            path,
            images,
            {
                "step": step,
                "count": len(images),
                "sampler": "DDIM",
                "steps": STEPS,
                "seed": SEED,
                "config": config,
                PARTS_MEASURED: self._session.run.parts_measured,
            },
        )
        return path

"""After how many steps are first shapes seen, and what does the rule of `engine/training/forecast.py` say?

    python -m benchmarks.first_shapes digits --steps 80 --every 4 [--seeds 0 1 2]
    python -m benchmarks.first_shapes FOLDER --side 32 --steps 240 --every 20

A training with the defaults draws 36 samples (DDIM, 20 steps) every so many steps, and each time the root of
their Fréchet distance to the training images is taken in the principal components of these. First shapes are
there once it has come 19 parts in 20 of the way from the distance of noise to that of 36 real images. It
counts steps, so other work does not matter. Exit code 1 where the rule is off by more than a factor of 1.5.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import table
from benchmarks.training import session_for

COUNT = 36  # samples
THERE = 0.05  # of the way that is left
FACTOR = 1.5


@dataclass(frozen=True)
class Found:
    """What one training has come to."""

    kind: str  # of the images
    rule: int  # steps
    left: list[tuple[int, float]]  # step, and share of the way that is left

    @property
    def steps(self) -> int:
        """When first shapes were there; 0: not yet."""
        return next((step for step, left in self.left if left <= THERE), 0)

    @property
    def is_sound(self) -> bool:
        return 1 / FACTOR <= self.steps / self.rule <= FACTOR


def found(source: str, side: int, steps: int, every: int, seed: int) -> Found:
    from diffusion_studio.engine.jobs.control import Control
    from diffusion_studio.engine.runs.quality import QualitySpace
    from diffusion_studio.engine.training.forecast import first_shapes
    from diffusion_studio.engine.training.previews import Previewer
    from diffusion_studio.engine.training.trainer import train

    changes: dict[str, object] = {
        "training.steps": steps, "training.preview_count": COUNT, "training.preview_share": 0.0,
        "seed": seed, "data.resolution": side,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        session = session_for(Path(place) / "run", source, changes)
        images = session.images
        space = QualitySpace(images.images, session.batches.numbers)
        previewer, left = Previewer(session), list[tuple[int, float]]()
        for _ in train(session, Control()):
            step = session.counters.step
            if step // every > len(left) and (shown := previewer.draw_all(session.counters, Control())):
                of = space.measure(shown.images.transpose(0, 3, 1, 2))
                way = (of.frechet - of.real_frechet) / (of.noise_frechet - of.real_frechet)
                left.append((step, way))
        kind = f"{images.resolution}×{images.resolution} {'grey' if images.channels == 1 else 'colour'}"
        return Found(kind, first_shapes(images.resolution, images.channels), left)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("--side", type=int, default=0)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as home:
        os.environ["DIFFUSION_STUDIO_HOME"] = home
        all_ = [found(options.source, options.side, options.steps, options.every, s) for s in options.seeds]
    for one in all_:
        print(" ".join(f"{step}:{left:.3f}" for step, left in one.left))
    table(("images", "steps", "rule"), [(one.kind, one.steps or "not yet", one.rule) for one in all_])
    return 0 if all(one.is_sound for one in all_) else 1


if __name__ == "__main__":
    sys.exit(main())

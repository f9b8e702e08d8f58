"""How well DDIM comes back to an image whose noise it found, over the number of steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.samplers import DDIM
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.first_state import images_of

COUNTS = (10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """The error with one number of steps."""

    steps: int
    errors: NDArray[np.float64]  # root mean square difference of the pixels in [−1, 1], (n,)


def reconstructions(chain: Chain) -> Iterator[Reconstruction | None]:
    """Inverts the images and comes back by DDIM with η = 0 over 10 … 1000 steps; the chain's own clipping.

    Yields:
        The error for each number of steps, and None now and then, so that the caller can stop.

    Raises:
        Refused: an image that cannot be read.
    """
    source, images = chain.source, images_of(chain, len(chain.spec.start.files))
    total = chain.source.tables.steps
    for steps in COUNTS:
        if steps > total:
            return
        changed = {"steps": steps, "sampler": DDIM(), "count": len(images)}
        there = replace(chain, spec=chain.spec.model_copy(update=changed))
        starting = there.starting()
        x = None
        while x is None:
            try:
                next(starting)
                yield None
            except StopIteration as end:
                x = end.value
        for step in there.steps(0, x):
            x = step.x_s
            yield None
        errors = (source.pictures(x) - source.pictures(images)).square().flatten(1).mean(1).sqrt()
        yield Reconstruction(steps, errors.cpu().double().numpy())

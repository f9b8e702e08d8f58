"""A quick look at where a chain will stand, with fewer steps and particles, while it is computed."""

from __future__ import annotations

import torch

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.steps.clipping import Unclipped
from diffusion_studio.engine.plane.chain import PlaneChain, first_state
from diffusion_studio.engine.plane.process import Reverse, State

STEPS, MOST = 10, 1000


def preview(chain: PlaneChain, target: int) -> State | None:
    """The first particles of a reverse chain near its state `target`, in at most 10 steps.

    None where the chain begins at the data, or is no reverse chain: there nothing shorter is like it.
    """
    process = chain.spec.process
    if not isinstance(process, Reverse) or chain.times[0] != max(chain.times) or target <= 0:
        return None
    count = min(STEPS, target)
    times = tuple(chain.times[round(k * target / count)] for k in range(count + 1))
    spec = chain.spec.model_copy(update={"count": min(chain.spec.count, MOST)})
    noise = CounterNoise(spec.seed)
    with torch.inference_mode():
        *_, last = reverse_chain(
            chain.denoiser, process.sampler, times, first_state(spec), noise.step, None, Unclipped()
        )
    return State(last.x_s)

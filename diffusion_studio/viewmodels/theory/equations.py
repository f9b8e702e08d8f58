"""The equations of the Theory page: the fixed ones, and one for each thing that can be chosen."""

from __future__ import annotations

from diffusion_studio.core.theory.autoencoders import AUTOENCODERS
from diffusion_studio.core.theory.equations import Equation, equations, of_family
from diffusion_studio.core.theory.scores import REVERSE, SCORES
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.plane.process import Process
from diffusion_studio.engine.runs.autoencoder_config import HVAEConfig
from diffusion_studio.engine.runs.config import RunConfig


def all_equations() -> tuple[Equation, ...]:
    """Every equation, by group; `page` and `path` lead to where it acts."""
    choices = {"train": RunConfig(), "sample": SampleSpec(), "autoencoder": HVAEConfig()}
    moves = of_family(Process, "plane", "process.steps")  # the kind is chosen above the picture
    return (*equations(choices), *REVERSE, *SCORES, *moves, *AUTOENCODERS)

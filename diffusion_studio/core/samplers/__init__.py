"""Samplers: families of reverse steps, one class each.

Every module in this folder is read, so a sampler is one new file; its `rank` is its place in the menus.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Annotated

from diffusion_studio.core.describe import OneOf
from diffusion_studio.core.samplers.annealed_langevin import AnnealedLangevin
from diffusion_studio.core.samplers.base import Sampler, Step
from diffusion_studio.core.samplers.ddim import DDIM
from diffusion_studio.core.samplers.ddpm import DDPM
from diffusion_studio.core.samplers.dpm_solver import DPMSolver2M, DPMSolver2MSDE
from diffusion_studio.core.samplers.euler import Euler, EulerAncestral
from diffusion_studio.core.samplers.heun import Heun
from diffusion_studio.core.samplers.predictor_corrector import PredictorCorrector
from diffusion_studio.core.samplers.reverse_sde import ReverseSDE
from diffusion_studio.core.samplers.sigma_curve import SigmaCurve

__all__ = [
    "DDIM",
    "DDPM",
    "AnnealedLangevin",
    "DPMSolver2M",
    "DPMSolver2MSDE",
    "Euler",
    "EulerAncestral",
    "Heun",
    "PredictorCorrector",
    "ReverseSDE",
    "Sampler",
    "SigmaCurve",
    "Step",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

AnySampler = Annotated[Sampler, OneOf()]

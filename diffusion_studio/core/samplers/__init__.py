# ruff: noqa: I001 - the order of these imports is that of the menus
"""Samplers: families of reverse steps, one class each. Their order here is that of the menus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusion_studio.core.describe import one_of
from diffusion_studio.core.samplers.base import Sampler, Step
from diffusion_studio.core.samplers.ddim import DDIM
from diffusion_studio.core.samplers.ddpm import DDPM
from diffusion_studio.core.samplers.sigma_curve import SigmaCurve
from diffusion_studio.core.samplers.euler import Euler, EulerAncestral
from diffusion_studio.core.samplers.heun import Heun
from diffusion_studio.core.samplers.dpm_solver import DPMSolver2M, DPMSolver2MSDE
from diffusion_studio.core.samplers.reverse_sde import ReverseSDE
from diffusion_studio.core.samplers.predictor_corrector import PredictorCorrector
from diffusion_studio.core.samplers.annealed_langevin import AnnealedLangevin

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

if TYPE_CHECKING:
    AnySampler = Sampler
else:
    AnySampler = one_of(Sampler)

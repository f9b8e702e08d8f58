"""Samplers: families of reverse steps, one class each.

Every module in this folder and in those within it is read, so a sampler is one new file; its `rank` is its
place in the menus.
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
from diffusion_studio.core.samplers.dpm2 import DPM2
from diffusion_studio.core.samplers.dpm_sde import DPMSolverSDE
from diffusion_studio.core.samplers.dpm_solver import DPMSolver2M, DPMSolver2MSDE
from diffusion_studio.core.samplers.edm import EDMStochastic
from diffusion_studio.core.samplers.euler import Euler, EulerAncestral
from diffusion_studio.core.samplers.heun import Heun
from diffusion_studio.core.samplers.multistep.deis import DEIS
from diffusion_studio.core.samplers.multistep.dpm3m_sde import DPMSolver3MSDE
from diffusion_studio.core.samplers.multistep.gradient_estimation import GradientEstimation
from diffusion_studio.core.samplers.multistep.ipndm import IPNDM
from diffusion_studio.core.samplers.multistep.lms import LMS
from diffusion_studio.core.samplers.multistep.pndm import PNDM
from diffusion_studio.core.samplers.multistep.sa_solver import SASolver
from diffusion_studio.core.samplers.multistep.unipc import UniPC
from diffusion_studio.core.samplers.predictor_corrector import PredictorCorrector
from diffusion_studio.core.samplers.restart import Restart
from diffusion_studio.core.samplers.reverse_sde import ReverseSDE
from diffusion_studio.core.samplers.sigma_curve import SigmaCurve
from diffusion_studio.core.samplers.straight import FlowEuler, FlowHeun

__all__ = [
    "DDIM",
    "DDPM",
    "DEIS",
    "DPM2",
    "IPNDM",
    "LMS",
    "PNDM",
    "AnnealedLangevin",
    "DPMSolver2M",
    "DPMSolver2MSDE",
    "DPMSolver3MSDE",
    "DPMSolverSDE",
    "EDMStochastic",
    "Euler",
    "EulerAncestral",
    "FlowEuler",
    "FlowHeun",
    "GradientEstimation",
    "Heun",
    "PredictorCorrector",
    "Restart",
    "ReverseSDE",
    "SASolver",
    "Sampler",
    "SigmaCurve",
    "Step",
    "UniPC",
]

for _module in pkgutil.walk_packages(__path__, f"{__name__}."):
    importlib.import_module(_module.name)

AnySampler = Annotated[Sampler, OneOf()]

"""All cards of the tour."""

from __future__ import annotations

from diffusion_studio.viewmodels.plane.tour.chains import CHAINS
from diffusion_studio.viewmodels.plane.tour.guidance import GUIDANCE
from diffusion_studio.viewmodels.plane.tour.score import SCORE

CARDS = (*SCORE, *CHAINS, *GUIDANCE)  # in the order in which they are best read

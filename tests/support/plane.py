"""Networks of the plane, trained to the end."""

from __future__ import annotations

from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.plane.learner import Learned, learn
from diffusion_studio.engine.plane.spec import PlaneSpec
from support.tiny import only


def learned(spec: PlaneSpec, control: Control | None = None) -> list[Learned]:
    """Every newer network that a training told, the last one last."""
    return only(learn(spec, control or Control()), Learned)

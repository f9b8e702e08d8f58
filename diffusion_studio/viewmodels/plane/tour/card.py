"""What a card of the tour is, and what it can change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from diffusion_studio.core.process.forward import VariancePreserving
from diffusion_studio.core.process.schedules import CosineSchedule
from diffusion_studio.engine.plane.guide import PlaneGuide
from diffusion_studio.engine.plane.process import Process
from diffusion_studio.engine.plane.shapes import shape
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.viewmodels.plane.state import Look

Setting = tuple[PlaneSpec, Look]
Change = Callable[[PlaneSpec, Look], Setting]
STILL: dict[str, Any] = {"look_field": "exact", "look_trails": "short"}  # little besides the particles


@dataclass(frozen=True)
class Action:
    """One thing to try."""

    title: str
    change: Change
    learns: bool = False  # also starts a training


def setting(shape_key: str | None = None, process: Process | None = None, **values: object) -> Change:
    """A change to parameters and, by `look_…`, to how they are shown."""
    looks: dict[str, Any] = {k.removeprefix("look_"): v for k, v in values.items() if k.startswith("look_")}
    learns = {k.removeprefix("learning_"): v for k, v in values.items() if k.startswith("learning_")}
    plain = {k: v for k, v in values.items() if not k.startswith(("look_", "learning_"))}

    def change(spec: PlaneSpec, look: Look) -> Setting:
        usual = {"schedule": CosineSchedule(), "forward": VariancePreserving()}
        update: dict[str, object] = {"guide": PlaneGuide(), "reference": "law", **usual, **plain}
        if shape_key is not None:
            update |= {"shape": shape_key, "modes": shape(shape_key).make()}
        if process is not None:
            update["process"] = process
        if learns:
            update["learning"] = spec.learning.model_copy(update=learns)
        return spec.model_copy(update=update), replace(look, **looks)

    return change

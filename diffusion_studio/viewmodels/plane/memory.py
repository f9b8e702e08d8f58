"""The state of the 2-D laboratory as plain values: for the window's memory, and for files that open again."""

from __future__ import annotations

import dataclasses
import logging
import typing
from typing import Any

from diffusion_studio.core.describe import validated
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.viewmodels.plane.state import Look, PlaneState

log = logging.getLogger(__name__)


def to_remember(state: PlaneState) -> dict[str, Any]:
    """What is kept of a state: parameters and look."""
    return {"spec": state.spec.model_dump(mode="json"), "look": dataclasses.asdict(state.look)}


def restored(value: Any) -> tuple[PlaneSpec | None, Look | None]:
    """The opposite of `to_remember`; what cannot be read is left out."""
    if not isinstance(value, dict):
        return None, None
    try:
        spec = validated(PlaneSpec, value.get("spec"))
    except Refused:
        log.warning("The remembered state of the 2-D page was not valid; the defaults are used.")
        return None, None
    return spec, _look(value.get("look"))


def _look(value: Any) -> Look | None:
    """A look in which every value is one that there is."""
    if not isinstance(value, dict):
        return None
    kinds = typing.get_type_hints(Look)
    kept: dict[str, Any] = {}
    for name, kind in kinds.items():
        given = value.get(name)
        allowed = typing.get_args(kind)
        if (isinstance(given, str) and given in allowed) or (kind is bool and isinstance(given, bool)):
            kept[name] = given
    return Look(**kept)

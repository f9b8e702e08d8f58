"""The training parameters in the window's memory."""

from __future__ import annotations

import logging
from typing import Any

from diffusion_studio.core.describe import validated
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.runs.config import RunConfig

log = logging.getLogger(__name__)


def remembered_config(value: Any) -> RunConfig | None:
    """A remembered config; None when there is none, or one that this version cannot read."""
    try:
        return validated(RunConfig, value) if value else None
    except Refused:
        log.warning("The remembered training parameters were not valid; the defaults are used.")
        return None

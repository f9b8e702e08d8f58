"""The choices of the page in the window's memory."""

from __future__ import annotations

import logging
from typing import Any

from diffusion_studio.core.describe import validated
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.runs.autoencoder_config import BY_KIND, AutoencoderConfig

log = logging.getLogger(__name__)


def to_remember(config: AutoencoderConfig) -> dict[str, Any]:
    """What is kept until the next start."""
    return {"kind": config.kind, "config": config.model_dump(mode="json")}


def remembered(value: Any) -> AutoencoderConfig | None:
    """A remembered config; None when there is none, or one that this version cannot read."""
    if not isinstance(value, dict) or value.get("kind") not in BY_KIND:
        return None
    try:
        return validated(BY_KIND[value["kind"]], value.get("config"))
    except Refused:
        log.warning("The remembered parameters of the autoencoder were not valid; the defaults are used.")
        return None

"""The training parameters in the window's memory."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from diffusion_studio.core.describe import validated
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data.spec import DIGITS, is_path
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.viewmodels.remembered import Memory

log = logging.getLogger(__name__)
RECENT = 8  # folders remembered


def remember_source(memory: Memory, source: str) -> None:
    """Images that were opened, as the newest of those that are remembered."""
    memory.set("recent", [source, *(each for each in _known(memory) if each != source)][:RECENT])


def recent_sources(memory: Memory) -> list[tuple[str, str]]:
    """(source, name) of what a click opens: the built-in digits, and recent folders that are still there."""
    folders = [each for each in _known(memory) if each != DIGITS and Path(each).is_dir()]
    return [(DIGITS, tr("Built-in digits")), *((folder, folder) for folder in folders)]


def _known(memory: Memory) -> list[str]:
    known = memory.get("recent")
    found = known if isinstance(known, list) else []
    return [each for each in found if isinstance(each, str) and is_path(each)]


def remembered_config(value: Any) -> RunConfig | None:
    """A remembered config; None when there is none, or one that this version cannot read."""
    try:
        return validated(RunConfig, value) if value else None
    except Refused:
        log.warning("The remembered training parameters were not valid; the defaults are used.")
        return None

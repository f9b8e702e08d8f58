"""States of a page: what a picture of ours carries inside, or a small file that is handed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.files.files import to_json, write_atomically
from diffusion_studio.engine.files.pictures import read_settings
from diffusion_studio.engine.files.reading import parsed, regular

MOST_STATE = 4 << 20  # bytes
PICTURE, STATE = ".png", ".json"
KEYS = ("plane", "sample", "config")  # each belongs to a page: the plane, Sample, and those that train


def state_in(path: Path) -> dict[str, Any] | None:
    """The state in a picture or in a file; None of any other file."""
    if path.suffix.lower() == PICTURE:
        content: Any = read_settings(path)
    elif path.suffix.lower() == STATE:
        try:
            content = parsed(regular(path, MOST_STATE).read_bytes())
        except (OSError, Refused):
            return None
    else:
        return None
    return content if isinstance(content, dict) and any(key in content for key in KEYS) else None


def write_state(path: Path, state: dict[str, Any]) -> None:
    """A state as JSON.

    Raises:
        OSError: the file cannot be written.
    """
    write_atomically(path, to_json(state))

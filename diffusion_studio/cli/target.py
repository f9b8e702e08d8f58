"""--out: whether a file can be written there, asked before the work that it is to hold."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.files.files import draft_of

LONGEST = 255  # bytes of a name


def check_target(path: Path, force: bool) -> None:
    """
    Args:
        force: whether a file that is there may be replaced.

    Raises:
        Refused: it cannot be written; the message says why.
    """
    name = draft_of(path).name
    if len(os.fsencode(name)) > LONGEST:
        raise Refused(f"{path.name[:40]}… is too long for the name of a file.")
    if path.is_dir():
        raise Refused(f"{path} is a folder; name a file in it, like {path / path.name}.")
    if path.exists() and not force:
        raise Refused(f"{path} is there already; --force replaces it.")
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    if not folder.is_dir():
        raise Refused(f"{folder} is a file, so {path} cannot be written.")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Refused(f"{folder} cannot be written: {error.strerror or error}.") from None

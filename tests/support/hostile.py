"""Files as no program of ours writes them, in the place of one that is expected."""

from __future__ import annotations

import os
import sys
from pathlib import Path

KINDS = ("folder", "deep", "huge") if sys.platform == "win32" else (
    "folder", "deep", "huge", "pipe", "device", "circle", "link out"
)  # fmt: skip


def put(path: Path, kind: str) -> None:
    """Puts a file of a kind in the place of another; what that one held lies outside, where a link leads."""
    held = path.read_bytes() if path.is_file() else b"{}"
    path.unlink(missing_ok=True)
    match kind:
        case "folder":
            path.mkdir()
        case "deep":
            path.write_text("[" * 100_000 + "]" * 100_000)
        case "huge":  # a terabyte of nothing, which takes no room on the disk
            path.touch()
            os.truncate(path, 1 << 40)
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "circle":
            path.symlink_to(path)
        case "link out":
            outside = path.parents[2] / f"outside of {'-'.join(path.parts[-4:])}"
            outside.write_bytes(held)
            path.symlink_to(outside)
        case _:
            raise AssertionError(kind)

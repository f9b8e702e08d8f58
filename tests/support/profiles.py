"""ICC profiles made by hand: a matrix of primaries or a grey, and one power for the curve."""

from __future__ import annotations

import struct
from collections.abc import Mapping

D50 = 0.9642, 1.0, 0.8249
ADOBE = (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)
SRGB = (0.43607, 0.22250, 0.01393), (0.38506, 0.71688, 0.09710), (0.14308, 0.06062, 0.71413)


def adobe_rgb() -> bytes:
    """Adobe RGB (1998), by the tables of its specification."""
    return colour_profile(ADOBE, 2.19921875, "Adobe RGB")


def colour_profile(ends: tuple[tuple[float, ...], ...], gamma: float, name: str) -> bytes:
    """Red, green and blue in XYZ under D50."""
    tags = {f"{letter}XYZ".encode(): _xyz(end) for letter, end in zip("rgb", ends, strict=True)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma))
    return _profile(b"RGB ", tags, name)


def grey_profile(gamma: float, name: str = "a grey") -> bytes:
    return _profile(b"GRAY", {b"kTRC": _curve(gamma)}, name)


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def _profile(space: bytes, tags: Mapping[bytes, bytes], name: str) -> bytes:
    text = name.encode()
    description = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + bytes(79)
    every = {**tags, b"wtpt": _xyz(D50), b"desc": description}
    table, content, offset = b"", b"", 128 + 4 + 12 * len(every)
    for tag, data in every.items():
        data += bytes(-len(data) % 4)
        table += tag + struct.pack(">II", offset + len(content), len(data))
        content += data
    size = offset + len(content)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"mntr", space, b"XYZ ")
    head = head + bytes(12) + b"acsp" + bytes(28) + b"".join(map(_fixed, D50)) + bytes(48)
    return head + struct.pack(">I", len(every)) + table + content

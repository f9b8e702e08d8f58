"""What AVIF says of its colours: the box colr of the kind nclx, which Pillow does not pass on."""

from __future__ import annotations

import struct
from typing import BinaryIO

from diffusion_studio.core.words import tr
from diffusion_studio.data.colours.space import Space, by_codes

_BOX = b"colrnclx"
_HEAD = 1 << 16  # bytes; the properties of a picture stand before its pixels


def space(file: BinaryIO) -> Space | None:
    """None for sRGB, and where a profile or nothing says it.

    Raises:
        BadImage: a picture of light beyond white.
    """
    file.seek(0)
    head = file.read(_HEAD)
    place = head.find(_BOX)
    if place < 0 or len(head) < place + len(_BOX) + 4:
        return None
    primaries, transfer = struct.unpack_from(">HH", head, place + len(_BOX))
    found = by_codes(primaries, transfer, tr("an AVIF"))
    return None if b"colrprof" in head or b"colrrICC" in head else found

"""What PNG needs beyond Pillow: checksums, sixteen bits, a transparent colour, a cover that is no frame."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import Image, PngImagePlugin

from diffusion_studio.core.words import tr
from diffusion_studio.data.colours.space import Space, by_codes, by_gamma
from diffusion_studio.data.errors import BadImage
from diffusion_studio.data.samples import Alpha, Colours, Samples

CUT_OFF = tr("The file is cut off: its end is missing.")
WRONG_CHECKSUM = tr("A checksum inside the file is wrong: the file is damaged.")
_NONSENSE = tr("The picture is damaged: its header makes no sense.")
_SIGNATURE = 8  # bytes
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel, by colour type
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Where the passes of an interlaced picture begin (x, y), and in what steps they go."""
_MOST_COUNTED = 2**30  # bytes; larger pictures are refused for their size
_LOOKED_AT = {b"IHDR", b"tRNS", b"acTL", b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"}
_UNSPECIFIED = 2  # of the codes in cICP
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6  # colour types


@dataclass(frozen=True)
class Header:
    """What a PNG says of itself.

    Args:
        transparent: the content of tRNS, empty where there is none.
        animated: whether it holds an animation.
        space: what its colours mean as light; None for sRGB, and where a profile says it.
        coded: whether that is said by a code, which counts for more than a profile.
    """

    bits: int
    colour: int
    transparent: bytes
    animated: bool
    space: Space | None = None
    coded: bool = False

    @property
    def is_deep(self) -> bool:
        """Whether Pillow would drop half of its bits."""
        return self.bits == 16 and (self.colour != _GREY or bool(self.transparent)) and not self.animated


def check(file: BinaryIO) -> Header:
    """Walks the chunks: compares their checksums and counts the rows, neither of which the decoder does.

    Raises:
        BadImage: it is cut off or damaged.
    """
    file.seek(_SIGNATURE)
    found: dict[bytes, bytes] = {}
    rows: list[_Rows] = []  # of the picture; of the first frame of an animation that has another cover
    kind = b""
    while kind != b"IEND":
        header = file.read(8)
        if len(header) < 8:
            raise BadImage(CUT_OFF)
        length, kind = struct.unpack(">I4s", header)
        if kind == b"CgBI":
            raise BadImage(tr("It is a PNG in the form of iOS (CgBI), a kind that is not read."))
        content = _checked(file, kind, length, rows)
        if kind in _LOOKED_AT:
            found.setdefault(kind, content)
        if kind in (b"IHDR", b"fcTL") and len(rows) < 2:
            rows += _promised(found.get(b"IHDR", b""), content, kind, rows)
    first = found.get(b"IHDR", b"")
    if len(first) != 13:
        raise BadImage(_NONSENSE)
    if any(each.missing for each in rows if each.begun):
        raise BadImage(tr("The picture is damaged: some of its rows are missing."))
    return Header(
        first[8], first[9], found.get(b"tRNS", b""), b"acTL" in found, _space(found), _codes(found) != ()
    )


def _codes(found: dict[bytes, bytes]) -> tuple[int, ...]:
    """Primaries and transfer of cICP, where both are specified; else nothing."""
    content = found.get(b"cICP", b"")
    return tuple(content[:2]) if len(content) == 4 and _UNSPECIFIED not in content[:2] else ()


def _space(found: dict[bytes, bytes]) -> Space | None:
    """By the first of cICP, iCCP, sRGB, gAMA with cHRM that is there (PNG 3rd ed. §4.3)."""
    if codes := _codes(found):
        return by_codes(codes[0], codes[1], tr("a PNG"))
    if b"iCCP" in found or b"sRGB" in found:
        return None
    return by_gamma(found.get(b"gAMA", b""), found.get(b"cHRM", b""))


def _promised(header: bytes, content: bytes, kind: bytes, before: list[_Rows]) -> list[_Rows]:
    """The rows that a header, or the control of a frame that is not the picture itself, says will come."""
    if kind == b"fcTL" and (not before or not before[0].begun):
        return [_Rows(0)] if before else []  # the first frame is the picture, the others are not looked at
    start = 0 if kind == b"IHDR" else 4  # after the number of the frame's control
    if len(header) != 13 or len(content) < start + 8 or header[9] not in _SAMPLES:
        return []
    width, height = struct.unpack_from(">II", content, start)
    bits = header[8] * _SAMPLES[header[9]]
    sizes = [(width, height)] if not header[12] else [
        (-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in _ADAM7
    ]  # fmt: skip
    promised = sum(h * (1 + -(-w * bits // 8)) for w, h in sizes if w > 0 and h > 0)
    return [_Rows(promised)] if promised <= _MOST_COUNTED else []


class _Rows:
    """Counts the bytes of all rows in compressed data, as far as they are promised."""

    def __init__(self, promised: int) -> None:
        self.missing = promised
        self.begun = False
        self._stream = zlib.decompressobj()

    def take(self, data: bytes) -> None:
        self.begun = True
        try:
            while data and self.missing > 0:
                found = self._stream.decompress(data, 1 << 20)
                self.missing = max(self.missing - len(found), 0)
                data = self._stream.unconsumed_tail
        except zlib.error:
            raise BadImage(tr("The picture is damaged: its pixels cannot be unpacked.")) from None


def _checked(file: BinaryIO, kind: bytes, length: int, rows: list[_Rows]) -> bytes:
    """The beginning of a chunk's content, once all of it is there and its checksum is right."""
    checksum, start, number = zlib.crc32(kind), b"", 4 if kind == b"fdAT" else 0
    counted = {b"IDAT": rows[:1], b"fdAT": rows[1:]}.get(kind, [])
    while length > 0:
        block = file.read(min(length, 1 << 20))
        if not block:
            raise BadImage(CUT_OFF)
        checksum, length, start = zlib.crc32(block, checksum), length - len(block), start or block
        for each in counted:
            each.take(block[number:])
        number = 0
    stored = file.read(4)
    if len(stored) < 4:
        raise BadImage(CUT_OFF)
    if stored != struct.pack(">I", checksum):
        raise BadImage(WRONG_CHECKSUM)
    return start


def read_deep(
    file: BinaryIO, image: PngImagePlugin.PngImageFile, header: Header, background: tuple[int, int, int]
) -> Image.Image:
    """A picture of sixteen bits with all of them, opaque, in sRGB.

    Args:
        image: Pillow's header of the same file, for its colour profile.
    """
    file.seek(0)
    values = imagecodecs.png_decode(file.read())
    values = values.reshape(*values.shape[:2], -1)  # (H, W, S); a transparent colour has become alpha
    colours: Colours = 1 if values.shape[2] < 3 else 3
    alpha: Alpha | None = "straight" if values.shape[2] > colours else None
    white = int(np.iinfo(values.dtype).max)
    profile = None if header.coded else image.info.get("icc_profile")
    return Samples(values, colours, white, alpha, space=header.space, profile=profile).picture(background)


def with_true_transparency(image: Image.Image, header: Header) -> Image.Image:
    """The picture with the transparent colour counted as Pillow counts its pixels: grey of 1 to 4 bits."""
    if header.colour == _GREY and header.bits < 8 and len(header.transparent) == 2:
        (value,) = struct.unpack(">H", header.transparent)
        image = image.convert("L")
        image.info["transparency"] = value * 255 // (2**header.bits - 1)
    return image


def skip_cover(image: PngImagePlugin.PngImageFile) -> None:
    """Goes to the first frame of an animation whose default image is not part of it."""
    if getattr(image, "default_image", False) and getattr(image, "n_frames", 1) > 1:
        image.seek(1)

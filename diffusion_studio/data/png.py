"""What PNG needs beyond Pillow: checksums, sixteen bits, a transparent colour, a cover that is no frame."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import Image, PngImagePlugin

from diffusion_studio.data.errors import BadImage
from diffusion_studio.data.samples import Alpha, Colours, Samples, in_srgb

CUT_OFF = "The file is cut off: its end is missing."
WRONG_CHECKSUM = "A checksum inside the file is wrong: the file is damaged."
_SIGNATURE = 8  # bytes
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6  # colour types


@dataclass(frozen=True)
class Header:
    """What a PNG says of itself.

    Args:
        transparent: the content of tRNS, empty where there is none.
        animated: whether it holds an animation.
    """

    bits: int
    colour: int
    transparent: bytes
    animated: bool

    @property
    def is_deep(self) -> bool:
        """Whether Pillow would drop half of its bits."""
        return self.bits == 16 and (self.colour != _GREY or bool(self.transparent)) and not self.animated


def check(file: BinaryIO) -> Header:
    """Walks the chunks and compares their checksums, which the decoder leaves unread for the pixels.

    Raises:
        BadImage: it is cut off or damaged.
    """
    file.seek(_SIGNATURE)
    found: dict[bytes, bytes] = {}
    kind = b""
    while kind != b"IEND":
        header = file.read(8)
        if len(header) < 8:
            raise BadImage(CUT_OFF)
        length, kind = struct.unpack(">I4s", header)
        content = _checked(file, kind, length)
        if kind in (b"IHDR", b"tRNS", b"acTL"):
            found.setdefault(kind, content)
    first = found.get(b"IHDR", b"")
    if len(first) != 13:
        raise BadImage("The picture is damaged: its header makes no sense.")
    return Header(first[8], first[9], found.get(b"tRNS", b""), b"acTL" in found)


def _checked(file: BinaryIO, kind: bytes, length: int) -> bytes:
    """The beginning of a chunk's content, once all of it is there and its checksum is right."""
    checksum, start = zlib.crc32(kind), b""
    while length > 0:
        block = file.read(min(length, 1 << 20))
        if not block:
            raise BadImage(CUT_OFF)
        checksum, length, start = zlib.crc32(block, checksum), length - len(block), start or block
    stored = file.read(4)
    if len(stored) < 4:
        raise BadImage(CUT_OFF)
    if stored != struct.pack(">I", checksum):
        raise BadImage(WRONG_CHECKSUM)
    return start


def read_deep(
    file: BinaryIO, image: PngImagePlugin.PngImageFile, background: tuple[int, int, int]
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
    found = Samples(values, colours, int(np.iinfo(values.dtype).max), alpha).picture(background)
    return in_srgb(found, image.info.get("icc_profile"))


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

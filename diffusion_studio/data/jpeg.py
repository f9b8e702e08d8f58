"""JPEG files without their end marker: whole pictures, when nothing else is missing."""

from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np
from PIL import Image, JpegImagePlugin

from diffusion_studio.core.words import tr
from diffusion_studio.data.errors import BadImage
from diffusion_studio.data.png import CUT_OFF

_SCAN = 0xDA
_CORNER = 16  # pixels of the last block, or two
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # markers that begin a frame
_OTHERS = {
    0xC3: tr("lossless JPEG"),
    0xC7: tr("lossless JPEG"),
    0xCB: tr("lossless JPEG"),
    0xCF: tr("lossless JPEG"),
    0xF7: "JPEG-LS",
}
_END = b"\xff\xd9"
_FILLERS = (b"", 64 * b"\x55\x2a\x93", 64 * b"\xb4\x0f\x6e", 64 * b"\x03\xd8\xa1")
"""What may stand between the last pixel and the end without being seen."""


def check(file: BinaryIO) -> None:
    """Refuses kinds of JPEG that are not read, by name.

    Raises:
        BadImage: of more than eight bits, or without loss.
    """
    file.seek(2)
    while True:
        marker = file.read(2)
        while len(marker) == 2 and marker[0] == 0xFF and marker[1] == 0xFF:  # fill bytes
            marker = marker[1:] + file.read(1)
        head = file.read(3)
        if len(marker) < 2 or len(head) < 3 or marker[0] != 0xFF or marker[1] == _SCAN:
            return  # whatever is wrong, the decoder says
        if marker[1] in _FRAMES:
            deep = tr("JPEG of {bits} bits a sample", bits=head[2])
            kind = _OTHERS.get(marker[1], "" if head[2] == 8 else deep)
            if kind:
                raise BadImage(tr("It is a picture of the kind {kind}, which is not read.", kind=kind))
            return
        file.seek(max(int.from_bytes(head[:2], "big") - 3, 0), 1)


def _is_even(image: Image.Image) -> bool:
    """Whether a picture ends in one colour, as it does where the decoder put grey for what is missing."""
    width, height = image.size
    end = np.asarray(image.crop((max(width - _CORNER, 0), max(height - _CORNER // 2, 0), width, height)))
    return bool((end == end[:1, :1]).all())


def _check_end(image: Image.Image, file: BinaryIO, asked: tuple[int, int]) -> None:
    """Raises BadImage where the end marker stands before the last pixel: what is put there is seen then."""
    file.seek(0)
    data = file.read()
    start = 2
    while data[start + 1 : start + 2] != bytes([_SCAN]) and data[start : start + 1] == b"\xff":
        start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    end = data.find(_END, start)
    if end < 0:
        return
    filled = _ended(data[:end] + _FILLERS[1] + _END, asked)
    if filled.tobytes() != image.tobytes():
        raise BadImage(CUT_OFF)


def loaded(image: JpegImagePlugin.JpegImageFile, file: BinaryIO, asked: tuple[int, int]) -> Image.Image:
    """The pixels of an opened picture, of which a draft of the size `asked` was wanted.

    Raises:
        OSError, BadImage: it is cut off: some of its pixels are missing.
    """
    try:
        image.load()
        if _is_even(image):
            _check_end(image, file, asked)
        return image
    except OSError as error:
        if "truncated" not in str(error):
            raise
        file.seek(0)
        data = file.read()
        # Pixels that are missing would be made from whatever follows, and so differ (at full size: a shrunk
        # picture does not show the finest of them).
        found, *others = (_ended(data + filler + _END) for filler in _FILLERS)
        if any(other.tobytes() != found.tobytes() for other in others):
            raise
        return found


def _ended(data: bytes, asked: tuple[int, int] | None = None) -> Image.Image:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    if asked is not None:
        image.draft("", asked)
    image.load()
    return image

"""JPEG files without their end marker, which are whole when nothing else is missing, or with an early one."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image, JpegImagePlugin

from diffusion_studio.core.words import tr
from diffusion_studio.data.errors import BadImage
from diffusion_studio.data.png import CUT_OFF

_SCAN = 0xDA
_CORNER = 16  # pixels of the last block, or two
_MISSING = {127, 128}  # what the decoder puts where pixels are missing; 127 where the values are inverted
_PROGRESSIVE = 0xC2
_ARITHMETIC = {0xC9, 0xCA}  # frames whose data may end before the last pixel: zeros are left out
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
    for marker, bits in _markers(file):
        if marker in _FRAMES:
            kind = _OTHERS.get(marker, "" if bits == 8 else tr("JPEG of {bits} bits a sample", bits=bits))
            if kind:
                raise BadImage(tr("It is a picture of the kind {kind}, which is not read.", kind=kind))
            return


def _markers(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """The markers from the beginning to the first scan, and the first byte of what each holds.

    At the scan the file stands in its header. What is wrong ends them: the decoder will say it.
    """
    file.seek(2)
    while True:
        marker = file.read(2)
        while marker == b"\xff\xff":  # fill bytes
            marker = marker[1:] + file.read(1)
        head = file.read(3)
        if len(marker) < 2 or len(head) < 3 or marker[0] != 0xFF:
            return
        yield marker[1], head[2]
        if marker[1] == _SCAN:
            return
        file.seek(int.from_bytes(head[:2], "big") - 3, 1)


def _may_end_early(image: Image.Image) -> bool:
    """Whether a picture ends in the grey that the decoder puts where pixels are missing."""
    width, height = image.size
    end = image.crop((max(width - _CORNER, 0), max(height - _CORNER // 2, 0), width, height))
    return set(end.tobytes()) <= _MISSING


def _lacks_scans(data: bytes, components: int) -> bool:
    """Whether the scans of a progressive picture leave some of its bits unsaid.

    They may, but most that do are cut off: in the scan that comes last there.
    """
    left = [{*range(64)} for _ in range(components)]  # coefficients whose last bit has not come
    names: list[int] = []
    for scan in re.finditer(b"\xff\xda..(.)", data, re.DOTALL):
        place = scan.end() + 2 * scan[1][0]
        first, last, bits = data[place : place + 3]
        for name in data[scan.end() : place : 2]:
            if name not in names:
                names.append(name)
            if bits & 15 == 0:
                left[names.index(name)] -= {*range(first, last + 1)}
    return any(left)


def _check_end(image: JpegImagePlugin.JpegImageFile, file: BinaryIO, asked: tuple[int, int]) -> None:
    """Raises BadImage where the end marker stands before the last pixel: what is put there is seen then."""
    markers = {marker for marker, _ in _markers(file)}
    start = file.tell() - 5  # where the first scan begins
    file.seek(0)
    data = file.read()
    end = data.find(_END, start)
    if _SCAN not in markers or markers & _ARITHMETIC or end < 0:
        return
    progressive = _PROGRESSIVE in markers
    if progressive and not _lacks_scans(data[start:end], image.layers):
        return
    for filler in _FILLERS[1:] if progressive else _FILLERS[1:2]:
        if _ended(data[:end] + filler + _END, asked).tobytes() != image.tobytes():
            raise BadImage(CUT_OFF)


def loaded(image: JpegImagePlugin.JpegImageFile, file: BinaryIO, asked: tuple[int, int]) -> Image.Image:
    """The pixels of an opened picture, of which a draft of the size `asked` was wanted.

    Raises:
        OSError, BadImage: it is cut off: some of its pixels are missing.
    """
    try:
        image.load()
        if image.info.get("progressive") or _may_end_early(image):
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

"""One file to pixels. Everything that can be wrong with a file ends as `BadImage` with a sentence."""

from __future__ import annotations

import contextlib
import struct
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from diffusion_studio.data.errors import BadImage, NotAnImage
from diffusion_studio.data.spec import Fit

MAX_MEGAPIXELS = 100
_LARGE_PIXELS = 16_000_000
_LARGE = threading.BoundedSemaphore(2)  # so many large pictures are unpacked at a time

_PNG = b"\x89PNG\r\n\x1a\n"
_CUT_OFF = "The file is cut off: its end is missing."
_WRONG_CHECKSUM = "A checksum inside the file is wrong: the file is damaged."
_UNKNOWN = "It is not an image: its content is not one of PNG, JPEG, WebP, BMP, GIF, TIFF."

# First bytes and reader of each format. The readers are called by name: a file cannot choose another one.
_READERS: tuple[tuple[bytes, Callable[[BinaryIO], ImageFile.ImageFile]], ...] = (
    (_PNG, PngImagePlugin.PngImageFile),
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    (b"GIF87a", GifImagePlugin.GifImageFile),
    (b"GIF89a", GifImagePlugin.GifImageFile),
    (b"II*\0", TiffImagePlugin.TiffImageFile),
    (b"MM\0*", TiffImagePlugin.TiffImageFile),
    (b"II+\0", TiffImagePlugin.TiffImageFile),
    (b"MM\0+", TiffImagePlugin.TiffImageFile),
)

# The orientation tag of a camera (EXIF 0x0112) and what sets the picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Frame:
    """The shape that every picture is brought to."""

    resolution: int
    channels: int  # 1 or 3
    fit: Fit = "crop"
    background: tuple[int, int, int] = (255, 255, 255)


@dataclass(frozen=True)
class Picture:
    """A decoded picture and the size it has in its file."""

    pixels: NDArray[np.uint8]  # (H, W, C)
    width: int
    height: int


def decode(path: Path, frame: Frame) -> Picture:
    """The picture in the file `path`, upright, opaque, as uint8 of the frame's shape.

    Of an animation or a file of several pages the first one is taken.

    Raises:
        BadImage: the file cannot be used; its `reason` says why.
    """
    try:
        with path.open("rb") as file:
            return decode_file(file, frame)
    except OSError as error:
        raise BadImage(_explain(error)) from error


def decode_file(file: BinaryIO, frame: Frame) -> Picture:
    """As `decode`, from an open seekable file.

    Raises:
        BadImage: the content cannot be used.
    """
    try:
        return _decode(file, frame)
    except BadImage:
        raise
    except Exception as error:  # a damaged file makes the readers raise almost anything
        raise BadImage(_explain(error)) from error


def _decode(file: BinaryIO, frame: Frame) -> Picture:
    image = _open(file)
    width, height = image.size
    if width * height > MAX_MEGAPIXELS * 1_000_000:
        megapixels = round(width * height / 1e6)
        raise BadImage(f"The picture has {megapixels} megapixels; the limit is {MAX_MEGAPIXELS}.")
    # JPEG: let the decoder itself shrink, to no less than twice the side that is wanted.
    image.draft("", (2 * frame.resolution, 2 * frame.resolution))
    large = image.width * image.height > _LARGE_PIXELS
    with _LARGE if large else contextlib.nullcontext():
        image.load()
        plain = _plain(_upright(image), frame.background)
        if frame.channels == 1:
            plain = plain.convert("L")
        square = fit_to(plain, frame)
    mode = "L" if frame.channels == 1 else "RGB"
    pixels = np.array(square.convert(mode), dtype=np.uint8)
    return Picture(pixels.reshape(frame.resolution, frame.resolution, frame.channels), width, height)


def _open(file: BinaryIO) -> ImageFile.ImageFile:
    """The header of the picture, its format told by its first bytes."""
    head = file.read(16)
    if not head:
        raise BadImage("The file is empty.")
    reader = next((r for signature, r in _READERS if head.startswith(signature)), None)
    if reader is None or (head.startswith(b"RIFF") and head[8:12] != b"WEBP"):
        raise NotAnImage(_UNKNOWN)
    if head.startswith(_PNG):
        _check_png(file)
    if head.startswith(b"RIFF"):
        _check_riff(file, head)
    file.seek(0)
    return reader(file)


def _check_png(file: BinaryIO) -> None:
    """Walk the chunks and compare their checksums, which the decoder leaves unread for the pixels."""
    file.seek(len(_PNG))
    kind = b""
    while kind != b"IEND":
        header = file.read(8)
        if len(header) < 8:
            raise BadImage(_CUT_OFF)
        length, kind = struct.unpack(">I4s", header)
        checksum = zlib.crc32(kind)
        while length > 0:
            block = file.read(min(length, 1 << 20))
            if not block:
                raise BadImage(_CUT_OFF)
            checksum = zlib.crc32(block, checksum)
            length -= len(block)
        stored = file.read(4)
        if len(stored) < 4:
            raise BadImage(_CUT_OFF)
        if stored != struct.pack(">I", checksum):
            raise BadImage(_WRONG_CHECKSUM)


def _check_riff(file: BinaryIO, head: bytes) -> None:
    (length,) = struct.unpack("<I", head[4:8])
    if file.seek(0, 2) < length + 8:
        raise BadImage(_CUT_OFF)


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(0x0112)
    except Exception:  # a picture with damaged camera data is still a picture
        return image
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)


def _plain(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """The picture in mode L or RGB: eight bits, no palette, no transparency."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_eight_bits(np.asarray(image)))
    if image.mode == "LAB":
        return _from_lab(image)
    if image.has_transparency_data:
        return _composite(image.convert("RGBA"), background)
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _composite(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    below = Image.new("RGB", image.size, background)
    below.paste(image, mask=image.getchannel("A"))
    return below


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(lab, srgb, "LAB", "RGB")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # None only with inPlace
    return converted


def _eight_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Grey values of 16 or 32 bits as 0..255.

    16-bit values are divided by 257. Wider integers that fit 8 or 16 bits are read as such, floats in [0, 1]
    or [0, 255] likewise; anything else is stretched from its lowest to its highest value.
    """
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():  # one NaN makes both of them NaN
        raise BadImage("The picture holds values that are not finite numbers.")
    start, scale = _range(low, high, integer=np.issubdtype(values.dtype, np.integer))
    wide = values.astype(np.float64)
    wide -= start
    wide *= scale
    return np.rint(wide, out=wide).astype(np.uint8)


def _range(low: float, high: float, *, integer: bool) -> tuple[float, float]:
    """The value that becomes 0, and the factor that brings the rest to 0..255."""
    if low >= 0 and high <= 1 and not integer:
        return 0.0, 255.0
    if low >= 0 and high <= 255:
        return 0.0, 1.0
    if low >= 0 and high <= 65535 and integer:
        return 0.0, 1 / 257
    return low, 255 / (high - low) if high > low else 0.0


def fit_to(image: Image.Image, frame: Frame) -> Image.Image:
    """A square picture of the frame's resolution, antialiased; `image` is of mode L or RGB."""
    side, (width, height) = frame.resolution, image.size
    if frame.fit == "stretch":
        return _resize(image, (side, side), (0, 0, width, height))
    if frame.fit == "crop":
        short = min(width, height)
        left, top = (width - short) // 2, (height - short) // 2
        return _resize(image, (side, side), (left, top, left + short, top + short))
    scale = side / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    padded = Image.new("RGB", (side, side), frame.background)
    padded.paste(_resize(image, size, (0, 0, width, height)), ((side - size[0]) // 2, (side - size[1]) // 2))
    return padded if frame.channels == 3 else padded.convert("L")


def _resize(image: Image.Image, size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """The part `box` of the picture at `size`; small pixel art keeps its hard edges where it can."""
    width, height = box[2] - box[0], box[3] - box[1]
    if size[0] < width or size[1] < height:
        return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    whole = size[0] % width == 0 and size[1] % height == 0
    return image.resize(size, Image.Resampling.NEAREST if whole else Image.Resampling.BICUBIC, box=box)


def _explain(error: Exception) -> str:
    """A sentence for whatever the reader of a format raised."""
    text = str(error).strip().rstrip(".") or type(error).__name__
    lowered = text.lower()
    if isinstance(error, MemoryError):
        return "There is not enough memory to open it."
    if isinstance(error, OSError) and error.strerror:
        return f"The file cannot be read: {error.strerror.lower()}."
    if isinstance(error, EOFError) or "truncated" in lowered or "end of file" in lowered:
        return _CUT_OFF
    if "cannot load this image" in lowered:  # the header ended without a word of any pixels
        return "The file is cut off: it ends before its pixels."
    if "checksum" in lowered:
        return _WRONG_CHECKSUM
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"The picture has too many pixels; the limit is {MAX_MEGAPIXELS} megapixels."
    if not any(letter.isalpha() for letter in text):  # a bare number out of the reader's depths
        return "The picture is damaged: its header makes no sense."
    return f"The picture is damaged: {text}."

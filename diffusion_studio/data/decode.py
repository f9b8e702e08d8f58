"""One file to pixels. Everything that can be wrong with a file ends as `BadImage` with a sentence."""

from __future__ import annotations

import contextlib
import errno
import struct
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, ExifTags, Image, ImageFile, JpegImagePlugin, PngImagePlugin

from diffusion_studio.core.words import tr
from diffusion_studio.data import jpeg, png, tiff
from diffusion_studio.data.colours import nclx
from diffusion_studio.data.colours.profiles import in_srgb
from diffusion_studio.data.colours.space import ADOBE_RGB, Space
from diffusion_studio.data.errors import BadImage
from diffusion_studio.data.formats import HEAD, Format, format_of, opened
from diffusion_studio.data.samples import Alpha, Samples, upright
from diffusion_studio.data.spec import UNASKED, DataSpec, Fit

MAX_MEGAPIXELS = 100
_NOT_READ = "unsupported", "not supported", "unknown pixel mode", "cannot handle"  # in words of the readers
_COLOUR_SPACE, _SRGB = ExifTags.Base.ColorSpace, 1
_LARGE_PIXELS = 16_000_000
_LARGE = threading.BoundedSemaphore(2)  # so many large pictures are unpacked at a time


warnings.filterwarnings("ignore", category=UserWarning, module="PIL")  # what is wrong is said by the sentence


@dataclass(frozen=True)
class Frame:
    """The shape that every picture is brought to."""

    resolution: int  # height, and width as well where none is given
    channels: int  # 1 or 3
    fit: Fit = "crop"
    background: tuple[int, int, int] = (255, 255, 255)
    width: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width or self.resolution, self.resolution


@dataclass(frozen=True)
class Picture:
    """A decoded picture and the size it has in its file, upright."""

    pixels: NDArray[np.uint8]  # (H, W, C)
    width: int
    height: int
    brightest: int = 255  # highest value of any channel before it was brought to the frame
    deep: bool = False  # whether the file holds more than eight bits a sample
    clear: bool = False  # whether all of it is transparent, so that only the background shows
    several: bool = False  # whether the file holds more pictures than this one


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
        raise BadImage(_explain(error), _of_system(error)) from error


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
        raise BadImage(_explain(error), _of_system(error)) from error


def _decode(file: BinaryIO, frame: Frame) -> Picture:
    name = format_of(file.read(HEAD))
    header = png.check(file) if name == "PNG" else None
    if name == "WebP":
        _check_riff(file)
    if name == "JPEG":
        jpeg.check(file)
    several, number = False, 0
    if name == "TIFF":
        deep, several, number = _deep_tiff(file, frame)
        if deep is not None:
            return _framed(deep, frame, *deep.size, deep=True, several=several)
    image = opened(name, file)
    if number:
        image.seek(number)
    several = several if name == "TIFF" else bool(getattr(image, "is_animated", False))
    width, height = image.size
    if width * height > MAX_MEGAPIXELS * 1_000_000:
        megapixels = round(width * height / 1e6)
        raise BadImage(
            tr(
                "The picture has {megapixels} megapixels; the limit is {most}.",
                megapixels=megapixels,
                most=MAX_MEGAPIXELS,
            )
        )
    # JPEG: let the decoder itself shrink, to no less than twice the size that is wanted.
    asked = 2 * frame.size[0], 2 * frame.size[1]
    image.draft("", asked)
    large = image.width * image.height > _LARGE_PIXELS
    with _LARGE if large else contextlib.nullcontext():
        if header is not None and header.is_deep:
            assert isinstance(image, PngImagePlugin.PngImageFile)
            found = _turned(image, png.read_deep(file, image, header, frame.background))
            return _framed(found, frame, *found.size, deep=True)
        loaded = _loaded(image, file, header, asked)
        clear, is_deep = _is_clear(loaded), loaded.mode.startswith("I")
        turned = _turned(image, loaded)
        if turned.size != loaded.size:
            width, height = height, width
        space = header.space if header is not None else _space(image, file, name)
        plain = _from_space(turned, space, frame.background) if space else _plain(turned, frame.background)
        return _framed(plain, frame, width, height, deep=is_deep, clear=clear, several=several)


def _is_clear(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA") and image.getchannel("A").getextrema() == (0, 0)


def _framed(
    plain: Image.Image, frame: Frame, width: int, height: int, *, deep: bool, clear: bool = False,
    several: bool = False,
) -> Picture:  # fmt: skip
    """A picture in mode L or RGB, brought to the frame."""
    brightest = max(high for _, high in _extrema(plain))
    if frame.channels == 1:
        plain = plain.convert("L")
    fitted = fit_to(plain, frame).convert("L" if frame.channels == 1 else "RGB")
    pixels = np.array(fitted, dtype=np.uint8).reshape(*frame.size[::-1], frame.channels)
    return Picture(pixels, width, height, brightest, deep, clear, several)


def _extrema(image: Image.Image) -> tuple[tuple[int, int], ...]:
    """(lowest, highest) of each channel."""
    found = image.getextrema()
    return (found,) if isinstance(found[0], int | float) else found  # type: ignore[return-value]


def _deep_tiff(file: BinaryIO, frame: Frame) -> tiff.Deep:
    file.seek(0)
    with _LARGE:
        return tiff.read_deep(file, frame.background, MAX_MEGAPIXELS * 1_000_000)


def _loaded(
    image: ImageFile.ImageFile, file: BinaryIO, header: png.Header | None, asked: tuple[int, int]
) -> Image.Image:
    """The pixels, with what the format hides put right; `asked` is the size of the draft."""
    if header is not None:
        assert isinstance(image, PngImagePlugin.PngImageFile)
        png.skip_cover(image)
        image.load()
        return png.with_true_transparency(image, header)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return jpeg.loaded(image, file, asked)
    image.load()
    if isinstance(image, BmpImagePlugin.BmpImageFile) and _is_clear(image):
        return image.convert("RGB")  # its fourth byte was left empty
    return image


def _check_riff(file: BinaryIO) -> None:
    file.seek(4)
    (length,) = struct.unpack("<I", file.read(4))
    if file.seek(0, 2) < length + 8:
        raise BadImage(png.CUT_OFF)


def _turned(image: Image.Image, found: Image.Image) -> Image.Image:
    """`found` turned as the camera's data in `image` say."""
    try:
        orientation = image.getexif().get(0x0112)
    except Exception:  # a picture with damaged camera data is still a picture
        return found
    return upright(found, orientation)


def _plain(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """The picture in mode L or RGB: eight bits, sRGB, no palette, no transparency."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        white = 65535 if values.dtype.itemsize == 2 else 0
        return Samples(values[..., None], 1, white, profile=profile).picture(background)
    if image.mode == "LAB":
        return _from_lab(image)
    if image.has_transparency_data:
        return _composite(_transparent(image, profile), background)
    if image.mode == "CMYK":
        return in_srgb(image, profile).convert("RGB")
    return in_srgb(image.convert("L" if image.mode in ("1", "L") else "RGB"), profile)


def _transparent(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGBA in sRGB; the profile of a grey picture speaks of one channel."""
    if image.mode not in ("L", "LA", "La"):
        return in_srgb(image.convert("RGBA"), profile)
    grey, alpha = image.convert("LA").split()
    return Image.merge("LA", (in_srgb(grey, profile), alpha)).convert("RGBA")


def _space(image: Image.Image, file: BinaryIO, name: Format) -> Space | None:
    """What the colours mean where neither a profile nor a chunk of PNG says it."""
    if name == "AVIF":
        return nclx.space(file)
    if name != "JPEG" or image.info.get("icc_profile"):
        return None
    try:
        camera = image.getexif()
        if ExifTags.IFD.Exif not in camera or camera.get_ifd(ExifTags.IFD.Exif).get(_COLOUR_SPACE) == _SRGB:
            return None
        says = camera.get_ifd(ExifTags.IFD.Interop).get(1)
    except Exception:  # a picture with damaged camera data is still a picture
        return None
    return ADOBE_RGB if str(says).strip("\0 ") == "R03" else None


def _from_space(image: Image.Image, space: Space, background: tuple[int, int, int]) -> Image.Image:
    """The same of a picture whose colours are not those of sRGB, and that has no profile."""
    if image.mode.startswith("I"):
        return Samples(np.asarray(image)[..., None], 1, 65535, space=space).picture(background)
    mode = "RGBA" if image.has_transparency_data else "L" if image.mode in ("1", "L") else "RGB"
    values = np.asarray(image.convert(mode)).reshape(image.height, image.width, -1)  # (H, W, S)
    alpha: Alpha | None = "straight" if mode == "RGBA" else None
    return Samples(values, 1 if mode == "L" else 3, 255, alpha, space=space).picture(background)


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


def fit_to(image: Image.Image, frame: Frame) -> Image.Image:
    """A picture of the frame's size, antialiased; `image` is of mode L or RGB."""
    (across, down), (width, height) = frame.size, image.size
    if frame.fit == "stretch":
        return _resize(image, frame.size, (0, 0, width, height))
    if frame.fit == "crop":
        scale = min(width / across, height / down)
        part = max(1, round(across * scale)), max(1, round(down * scale))
        left, top = (width - part[0]) // 2, (height - part[1]) // 2
        return _resize(image, frame.size, (left, top, left + part[0], top + part[1]))
    scale = min(across / width, down / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    padded = Image.new("RGB", frame.size, frame.background)
    padded.paste(
        _resize(image, size, (0, 0, width, height)), ((across - size[0]) // 2, (down - size[1]) // 2)
    )
    return padded if frame.channels == 3 else padded.convert("L")


def _resize(image: Image.Image, size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """The part `box` of the picture at `size`; small pixel art keeps its hard edges where it can."""
    width, height = box[2] - box[0], box[3] - box[1]
    if size[0] < width or size[1] < height:
        return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    whole = size[0] % width == 0 and size[1] % height == 0
    return image.resize(size, Image.Resampling.NEAREST if whole else Image.Resampling.BICUBIC, box=box)


def _of_system(error: Exception) -> bool:
    """Whether the system did not give a file; what a damaged one says leads to places that are none."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def _explain(error: Exception) -> str:
    """A sentence for whatever the reader of a format raised."""
    lowered = str(error).lower()  # never shown: it speaks of the reader's depths
    if isinstance(error, MemoryError):
        return tr("There is not enough memory to open it.")
    if isinstance(error, OSError) and error.strerror and _of_system(error):
        return tr("The file cannot be read: {why}.", why=error.strerror.lower())
    if isinstance(error, EOFError) or "truncated" in lowered or "end of file" in lowered:
        return png.CUT_OFF
    if "cannot load this image" in lowered:  # the header ended without a word of any pixels
        return tr("The file is cut off: it ends before its pixels.")
    if "checksum" in lowered:
        return png.WRONG_CHECKSUM
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return tr(
            "The picture has too many pixels; the limit is {most} megapixels.",
            most=MAX_MEGAPIXELS,
        )
    if any(word in lowered for word in _NOT_READ):
        return tr("It is of a rare form of its kind, which is not read.")
    return tr("The picture is damaged: what it says of itself makes no sense.")


# --- the size of a whole folder ----------------------------------------------------------------------------

LOOKED_AT = 100  # pictures of a folder: their headers alone are read


def native_side(paths: Sequence[Path], spec: DataSpec) -> int:
    """Height and width for the pictures of a folder: those of the usual one, but 64 px at most.

    32 where no header can be read.
    """
    some = paths[:: max(1, -(-len(paths) // LOOKED_AT))]
    sizes = [size for size in map(_size, some) if size is not None]
    return min(spec.side_of_most(np.array(sizes, np.int32)), UNASKED) if sizes else 32


def _size(path: Path) -> tuple[int, int] | None:
    """Width and height of one picture; None where its header cannot be read: decoding will say why."""
    try:
        with path.open("rb") as file:
            return opened(format_of(file.read(HEAD)), file).size
    except Exception:  # a damaged file makes the readers raise almost anything
        return None

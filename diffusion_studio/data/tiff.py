"""TIFF files beyond eight bits a sample, which Pillow reads wrongly or not at all, by tifffile."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import math
import re
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import PIL
import tifffile
from numpy.typing import NDArray
from PIL import Image

from diffusion_studio.core.words import tr
from diffusion_studio.data.colours.profiles import in_srgb
from diffusion_studio.data.errors import BadImage
from diffusion_studio.data.formats import RAW
from diffusion_studio.data.png import CUT_OFF
from diffusion_studio.data.samples import Alpha, Colours, Samples, upright

MOST_BYTES = 2**31  # of the samples of one picture
_UNSIGNED, _SIGNED, _FLOAT, _UNDEFINED = 1, 2, 3, 4  # sample formats
_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _CMYK = 0, 1, 2, 3, 5  # photometric interpretations
_BY_CAMERAS = {9, 10, 32803, 34892}  # ICC and ITU Lab, mosaics, and what was made of them
_COLOURS: dict[int, Colours] = {_WHITE_IS_ZERO: 1, _GREY: 1, _RGB: 3, _CMYK: 4}
_ALPHA: dict[int, Alpha] = {1: "premultiplied", 2: "straight"}
_PLAIN_BITS = {1, 2, 4, 8}
_COMPRESSIONS = {1, 5, 8, 32773, 32946, 34925, 50000}  # none, LZW, Deflate, PackBits, LZMA, Zstandard
_BY_PILLOW = {1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000}  # the same, CCITT and JPEG
_CMYK_SAMPLES = 4
_ICC, _ORIENTATION, _BITS, _INNER, _DNG = 34675, 274, 258, 330, 50706
_OF_CAMERAS = {271, 33421, 33422}  # who made it, and the mosaic of its sensor
_SEVERAL = re.compile(r"^images=(?!1$)\d+$", re.MULTILINE)

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what is wrong is said by the sentence
logging.getLogger("tifffile").propagate = False


def _silence_libtiff() -> None:
    """Pillow brings libtiff, which writes to stderr what it finds wrong; here the sentence says it."""
    package = Path(PIL.__file__).parent
    for place in (*package.glob(".dylibs/libtiff*"), *package.parent.glob("pillow.libs/libtiff*")):
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(str(place))
            library.TIFFSetErrorHandler(None)
            library.TIFFSetWarningHandler(None)


_silence_libtiff()


class Deep(NamedTuple):
    """The first picture of a file.

    Args:
        image: of eight bits, upright, opaque; None where Pillow reads it rightly.
        several: whether the file holds more pictures than this one.
        number: of its page, from 0: a preview may come before it.
    """

    image: Image.Image | None
    several: bool
    number: int


def read_deep(file: BinaryIO, background: tuple[int, int, int], most_pixels: int) -> Deep:
    """The first page that is no preview.

    Raises:
        BadImage: a kind that is not read; its name is in the reason.
    """
    with tifffile.TiffFile(file) as opened:
        number, page = _first_picture(opened)
        _check_whole(page, file.seek(0, 2))
        kind, several = _kind(page), _holds_several(opened, number)
        if _is_plain(page):
            _check_plain(page, kind)
            return Deep(None, several, number)
        _check(page, kind, most_pixels)
        found = page.tags.valueof(_ICC)
        profile = found if isinstance(found, bytes) else None
        image = _samples(page, kind, profile).picture(background)
        image = in_srgb(image, profile) if image.mode == "CMYK" else image
        image = image.convert("RGB") if image.mode == "CMYK" else image
        return Deep(upright(image, _orientation(page)), several, number)


def _holds_several(opened: tifffile.TiffFile, number: int) -> bool:
    """Pages, or channels and slices behind one page, as ImageJ writes them; smaller copies do not count."""
    page = opened.pages.first
    if page.is_imagej and _SEVERAL.search(page.description):
        return True
    after = _page(opened, number + 1)
    return after is not None and not after.is_reduced


def _page(opened: tifffile.TiffFile, number: int) -> tifffile.TiffPage | None:
    """None where there is none: behind the last page some writers leave an offset to anything."""
    try:
        page = opened.pages[number].aspage()
    except Exception:  # what stands there by chance makes the reader raise almost anything
        return None
    return page if page.imagewidth and page.imagelength else None


def _first_picture(opened: tifffile.TiffFile) -> tuple[int, tifffile.TiffPage]:
    """The number of the first page that is no preview, and that page; a preview alone is the picture.

    Raises:
        BadImage: there is none, or it is what a camera made before there was a picture.
    """
    first = opened.pages.first
    page: tifffile.TiffPage | None = first
    number = 0
    while page is not None and page.is_reduced:
        number += 1
        page = _page(opened, number)
    if _DNG not in first.tags and page is None and number == 1 and _INNER not in first.tags:
        return 0, first
    tags = {tag.code for each in (first, page) if each is not None for tag in each.tags}
    if _DNG in tags or (number and tags & _OF_CAMERAS):
        raise BadImage(
            tr("It is a picture of the kind {name}, of which only the preview could be read.", name=RAW)
        )
    if page is None:
        raise BadImage(tr("It is a TIFF that begins with a preview; the picture itself cannot be read."))
    return number, page


def _check_whole(page: tifffile.TiffPage, size: int) -> None:
    """Raises BadImage where a strip or tile is missing: readers put black in its place, or other bytes.

    Args:
        size: of the file, in bytes.
    """
    places = [*zip(page.dataoffsets, page.databytecounts, strict=False)]
    if len(places) < math.prod(page.chunked) or any(not start for start, _ in places):
        raise BadImage(tr("The picture is damaged: some of its rows are missing."))
    if any(start + count > size for start, count in places):
        raise BadImage(CUT_OFF)


def _bits(page: tifffile.TiffPage) -> tuple[int, ...]:
    """Bits of each sample."""
    value = page.tags.valueof(_BITS, default=1)
    return tuple(int(bits) for bits in value) if isinstance(value, tuple) else (int(value),)


def _is_plain(page: tifffile.TiffPage) -> bool:
    """Whether Pillow reads such a page rightly: samples of at most eight bits, without a sign."""
    bits = set(_bits(page))
    if page.sampleformat not in (_UNSIGNED, _UNDEFINED) or not bits <= _PLAIN_BITS:
        return False
    if page.photometric == _PALETTE and page.samplesperpixel == 1:
        return (
            int(_palette(page).max()) > 255
        )  # some writers give colours of eight bits, where sixteen belong
    grey_and_alpha = page.photometric in (_WHITE_IS_ZERO, _GREY) and page.samplesperpixel > 1
    return page.samplesperpixel == 1 or (bits == {8} and not grey_and_alpha)


def _palette(page: tifffile.TiffPage) -> NDArray[np.uint16]:
    """(colours, 3)"""
    if page.colormap is None:
        raise BadImage(tr("The picture is damaged: its palette is missing."))
    return np.moveaxis(page.colormap, 0, -1)


def _check_plain(page: tifffile.TiffPage, kind: str) -> None:
    """Raises BadImage, naming the kind, where Pillow does not read it."""
    if page.compression not in _BY_PILLOW:
        raise BadImage(
            tr(
                "It is {kind} compressed by {method}, a kind that is not read.",
                kind=kind,
                method=_name(page.compression),
            )
        )
    if int(page.photometric) in _BY_CAMERAS:
        raise BadImage(
            tr(
                "It is {kind} in {colours} colours, a kind that is not read.",
                kind=kind,
                colours=_name(page.photometric),
            )
        )
    most = _COLOURS.get(int(page.photometric), 3) + 1
    if page.samplesperpixel > most or (page.photometric == _CMYK and page.samplesperpixel > _CMYK_SAMPLES):
        raise BadImage(
            tr(
                "It is {kind} of {channels} channels, a kind that is not read.",
                kind=kind,
                channels=page.samplesperpixel,
            )
        )


def _kind(page: tifffile.TiffPage) -> str:
    """ "a TIFF of 16-bit signed integers"."""
    bits = "/".join(str(n) for n in dict.fromkeys(_bits(page)))
    what = {_UNSIGNED: tr("integers"), _SIGNED: tr("signed integers"), _FLOAT: tr("floating-point numbers")}
    numbers = what.get(page.sampleformat, tr("numbers of another kind"))
    return tr("a TIFF of {bits}-bit {numbers}", bits=bits, numbers=numbers)


def _check(page: tifffile.TiffPage, kind: str, most_pixels: int) -> None:
    """Raises BadImage, naming the kind, when the page is not read."""
    if page.imagewidth * page.imagelength > most_pixels:
        megapixels = round(page.imagewidth * page.imagelength / 1e6)
        raise BadImage(
            tr(
                "The picture has {megapixels} megapixels; the limit is {most}.",
                megapixels=megapixels,
                most=most_pixels // 1_000_000,
            )
        )
    if page.sampleformat not in (_UNSIGNED, _FLOAT):
        raise BadImage(tr("It is {kind}; what is black and what is white in them is not known.", kind=kind))
    if len(set(_bits(page))) > 1:
        raise BadImage(tr("It is {kind}, a kind that is not read.", kind=kind))
    if page.photometric not in _COLOURS and (page.photometric != _PALETTE or page.samplesperpixel > 1):
        raise BadImage(
            tr(
                "It is {kind} in {colours} colours, a kind that is not read.",
                kind=kind,
                colours=_name(page.photometric),
            )
        )
    if page.compression not in _COMPRESSIONS:
        raise BadImage(
            tr(
                "It is {kind} compressed by {method}, a kind that is not read.",
                kind=kind,
                method=_name(page.compression),
            )
        )
    most = _COLOURS.get(int(page.photometric), 1) + 1  # one more, which may be alpha
    if page.samplesperpixel > most:
        raise BadImage(
            tr(
                "It is {kind} of {channels} channels, a kind that is not read.",
                kind=kind,
                channels=page.samplesperpixel,
            )
        )
    if page.axes not in ("YX", "YXS", "SYX") or page.dtype is None:
        raise BadImage(tr("It is {kind} of more than one plane, a kind that is not read.", kind=kind))
    if page.size * page.dtype.itemsize > MOST_BYTES:
        raise BadImage(tr("It is {kind} of too many samples to be unpacked.", kind=kind))


def _name(value: Any) -> str:
    """The name of a value in tifffile's lists, or its number."""
    return str(getattr(value, "name", value)).replace("_", " ")


def _samples(page: tifffile.TiffPage, kind: str, profile: bytes | None) -> Samples:
    values = page.asarray()
    if page.photometric == _PALETTE:
        table = _palette(page)
        return Samples(table[values], 3, 65535 if table.max() > 255 else 255, profile=profile)
    if page.axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    values = values.reshape(*values.shape[:2], -1)  # (H, W, S)
    colours = _COLOURS[int(page.photometric)]
    if values.shape[2] < colours:
        raise BadImage(
            tr(
                "It is {kind} of {channels} channels, a kind that is not read.",
                kind=kind,
                channels=values.shape[2],
            )
        )
    channels, alpha = list(range(colours)), None
    for number, extra in enumerate(page.extrasamples[: values.shape[2] - colours]):
        if int(extra) in _ALPHA and alpha is None:
            alpha = _ALPHA[int(extra)]
            channels.append(colours + number)
    white = 0 if page.sampleformat == _FLOAT else 2 ** _bits(page)[0] - 1
    inverted = page.photometric == _WHITE_IS_ZERO
    return Samples(values[..., channels], colours, white, alpha, inverted, profile=profile)


def _orientation(page: tifffile.TiffPage) -> object:
    value = page.tags.valueof(_ORIENTATION)
    return int(value) if isinstance(value, int) else None

"""The format of a picture, told by its first bytes and never by its name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO, Literal

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from diffusion_studio.core.words import tr
from diffusion_studio.data.errors import BadImage, NotAnImage

Format = Literal["PNG", "JPEG", "WebP", "BMP", "GIF", "TIFF", "AVIF"]
HEAD = 1024  # bytes that tell a format

_SIGNATURES: tuple[tuple[bytes, Format], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)

# The readers are called by name: a file cannot choose another one.
_READERS: dict[Format, Callable[[BinaryIO], ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}

_READ = "PNG, JPEG, WebP, BMP, GIF, TIFF, AVIF"

_AVIF_BRANDS = {b"avif", b"avis"}
_OTHER_BRANDS = {
    b"heic": "HEIC", b"heix": "HEIC", b"hevc": "HEIC", b"hevx": "HEIC", b"heim": "HEIC",
    b"heis": "HEIC", b"hevm": "HEIC", b"hevs": "HEIC", b"avci": "HEIF",
    b"mif1": "HEIF", b"msf1": "HEIF", b"crx ": "Canon CR3",
}  # fmt: skip
RAW = tr("raw (of a camera)")
_NOT_HERE = tr("It only says where Git LFS keeps the file: “git lfs pull” fetches it.")
_UNPACK = tr("It is a packed file: unpack it, and choose the folder with what was in it.")
_NOT_FETCHED = b"version https://git-lfs"
_SVG = re.compile(
    rb"(\xef\xbb\xbf)?\s*<(?!html|!DOCTYPE html)(.*<)?(svg|!DOCTYPE svg)\b", re.DOTALL | re.IGNORECASE
)
_ARCHIVE = re.compile(r"(?<!\.nii)\.(zip|7z|rar|tar|t?gz|t?bz2|t?xz)$", re.IGNORECASE)
_PACKED = b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ"
_OTHER_SIGNATURES = (
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "Photoshop"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"#?RGBE", "Radiance HDR"),
    (b"DDS ", "DDS"),
    (b"\0\0\x01\0", tr("icon")),
    (b"\0\0\x02\0", tr("icon")),
    (b"icns", tr("icon")),
    (b"qoif", "QOI"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    (b"/* XPM */", "XPM"),
    (b"\x0a\x05\x01\x08", "PCX"),
    (b"AT&TFORM", "DjVu"),
    (b"II\xbc", "JPEG XR"),
    (b"gimp xcf", "GIMP"),
    (b"\x8aMNG", "MNG"),
    (b"\x8bJNG", "JNG"),
    (b"BPG\xfb", "BPG"),
    (b"SIMPLE  =", "FITS"),
    (b"\x93NUMPY", "NumPy"),
    (b"\x89HDF", "HDF5"),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"IIRO", RAW),
    (b"IIRS", RAW),
    (b"IIU\0", RAW),
    (b"II\x1a\0\0\0HEAPCCDR", RAW),
    (b"\0MRM", RAW),
    (b"FOVb", RAW),
    (bytes(128) + b"DICM", "DICOM"),
)


def format_of(head: bytes) -> Format:
    """The format of a file that begins with these bytes.

    Raises:
        BadImage: the file is empty.
        NotAnImage: a kind that is not read, by its name where it is known.
    """
    if not head:
        raise BadImage(tr("The file is empty."))
    if head.startswith(b"II*\0") and head[8:10] == b"CR":  # of Canon
        raise NotAnImage(_refusal(RAW))
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in _AVIF_BRANDS or (brand in _OTHER_BRANDS and b"avif" in head[16:132]):
        return "AVIF"
    if head.startswith(_NOT_FETCHED):
        raise NotAnImage(_NOT_HERE)
    if head.startswith(_PACKED):
        raise NotAnImage(_UNPACK)
    raise NotAnImage(_refusal(_other(head, brand)))


def _other(head: bytes, brand: bytes) -> str:
    """The name of a kind of picture that is not read, or nothing."""
    if brand in _OTHER_BRANDS:
        return _OTHER_BRANDS[brand]
    if head[:1] == b"P" and head[1:2] in b"1234567Ff" and head[2:3].isspace():
        return "Netpbm"
    if _SVG.match(head):
        return "SVG"
    return next((name for signature, name in _OTHER_SIGNATURES if head.startswith(signature)), "")


def reason_of_other(reason: str, name: str) -> str:
    """What is said of a file whose name is not that of a picture: more than that, where its kind is known.

    Much is packed and no archive: documents, arrays, drawings.

    Args:
        reason: what its content was refused with.
    """
    unknown = reason == _refusal("") or (reason == _UNPACK and _ARCHIVE.search(name) is None)
    return tr("It is not an image.") if unknown else reason


def _refusal(name: str) -> str:
    if not name:
        return tr("It is not an image: its content is not one of {kinds}.", kinds=_READ)
    return tr(
        "It is a picture of the kind {name}; the kinds that are read are {kinds}.", name=name, kinds=_READ
    )


def opened(name: Format, file: BinaryIO) -> ImageFile.ImageFile:
    """The header of a picture, by the reader of its format.

    Raises:
        BadImage: this installation lacks what the format needs.
    """
    if name in ("AVIF", "WebP") and not features.check(name.lower()):
        raise BadImage(
            tr(
                "It is a picture of the kind {name}, which this installation of Pillow cannot read.",
                name=name,
            )
        )
    file.seek(0)
    return _READERS[name](file)

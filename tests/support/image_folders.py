"""Folders of real pictures in every format, and of files that are broken in every usual way.

The content is cut out of the two photographs that scikit-learn ships (china.jpg, flower.jpg).
"""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

FOLDERS = ("china", "blüte/großes Bild", "山水")  # the class is the first part


@dataclass(frozen=True)
class Sound:
    """A picture that must be used: what is special about it, and its class by folder."""

    kind: str
    label: str


def photographs() -> list[np.ndarray]:
    """The two photographs, uint8 (427, 640, 3)."""
    return list(_photographs())


@functools.cache
def _photographs() -> tuple[np.ndarray, ...]:
    from sklearn.datasets import load_sample_images

    return tuple(load_sample_images().images)


def crops(seed: int = 0, low: int = 40, high: int = 90) -> Iterator[Image.Image]:
    """Endless random cut-outs, `low` to `high` pixels a side, in RGB."""
    random = np.random.default_rng(seed)
    photos = photographs()
    while True:
        photo = photos[random.integers(len(photos))]
        height, width = random.integers(low, high + 1, 2)
        top, left = random.integers(photo.shape[0] - height), random.integers(photo.shape[1] - width)
        yield Image.fromarray(np.ascontiguousarray(photo[top : top + height, left : left + width]))


def sixteen_bit(image: Image.Image) -> Image.Image:
    """A grey picture with 16 bits that, scaled to 8, is exactly the grey of `image`."""
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def with_transparency(image: Image.Image) -> Image.Image:
    """RGBA, the upper half transparent."""
    clear = image.convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, image.width, image.height // 2))
    return clear


def rotated_by_camera(image: Image.Image, path: Path, orientation: int) -> None:
    """A JPEG stored as is, with the EXIF tag that tells how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, "JPEG", quality=95, exif=exif)


def _palette_with_transparency(image: Image.Image, path: Path) -> None:
    image.quantize(64).save(path, transparency=0)


def _animated(image: Image.Image, path: Path) -> None:
    frames = [image.transpose(Image.Transpose.ROTATE_180), image.convert("L").convert("RGB")]
    image.save(path, save_all=True, append_images=frames, duration=100)


def _grey_with_alpha(image: Image.Image, path: Path) -> None:
    grey = image.convert("LA")
    grey.putalpha(128)
    grey.save(path)


Writer = Callable[[Image.Image, Path], None]

WRITERS: dict[str, tuple[str, Writer]] = {
    "png": (".png", lambda i, p: i.save(p)),
    "jpeg": (".jpg", lambda i, p: i.save(p, quality=90)),
    "progressive jpeg": (".jpeg", lambda i, p: i.save(p, progressive=True)),
    "upper case": (".JPG", lambda i, p: i.save(p, "JPEG")),
    "grey jpeg": (".jpg", lambda i, p: i.convert("L").save(p)),
    "CMYK jpeg": (".jpg", lambda i, p: i.convert("CMYK").save(p)),
    "EXIF-rotated jpeg": (".jpg", lambda i, p: rotated_by_camera(i, p, 6)),
    "EXIF-mirrored jpeg": (".jpg", lambda i, p: rotated_by_camera(i, p, 2)),
    "jpeg named png": (".png", lambda i, p: i.save(p, "JPEG")),
    "no extension": ("", lambda i, p: i.save(p, "PNG")),
    "rgba png": (".png", lambda i, p: with_transparency(i).save(p)),
    "palette png": (".png", lambda i, p: i.quantize(32).save(p)),
    "palette png with transparency": (".png", _palette_with_transparency),
    "grey png with alpha": (".png", _grey_with_alpha),
    "1-bit png": (".png", lambda i, p: i.convert("1").save(p)),
    "16-bit png": (".png", lambda i, p: sixteen_bit(i).save(p)),
    "animated png": (".png", _animated),
    "webp": (".webp", lambda i, p: i.save(p)),
    "lossless webp with alpha": (".webp", lambda i, p: with_transparency(i).save(p, lossless=True)),
    "animated webp": (".webp", _animated),
    "gif": (".gif", lambda i, p: i.save(p)),
    "animated gif": (".gif", _animated),
    "bmp": (".bmp", lambda i, p: i.save(p)),
    "tiff": (".tif", lambda i, p: i.save(p)),
    "lzw tiff": (".tiff", lambda i, p: i.save(p, compression="tiff_lzw")),
    "16-bit tiff": (".tif", lambda i, p: sixteen_bit(i).save(p)),
    "float tiff": (".tif", lambda i, p: Image.fromarray(np.float32(i.convert("L")) / 255).save(p)),
    "CMYK tiff": (".tif", lambda i, p: i.convert("CMYK").save(p)),
    "YCbCr tiff": (".tif", lambda i, p: i.convert("YCbCr").save(p)),
}


def build_mixed_folder(path: Path, sound: int = 2 * len(WRITERS), seed: int = 0) -> dict[str, Sound]:
    """Write `sound` readable pictures, all kinds in turn, into nested folders of three classes.

    Returns what must be found, by path relative to `path` with forward slashes.
    """
    source = crops(seed)
    kinds = list(WRITERS)
    written: dict[str, Sound] = {}
    for number in range(sound):
        kind = kinds[number % len(kinds)]
        folder = FOLDERS[(number + number // len(kinds)) % len(FOLDERS)]
        ending, write = WRITERS[kind]
        name = f"{folder}/{number:04d} {kind.replace(' ', '-')}{ending}"
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        write(next(source), target)
        written[name] = Sound(kind, folder.split("/")[0])
    return dict(sorted(written.items()))


def _encoded(image: Image.Image, format: str) -> bytes:
    memory = io.BytesIO()
    image.save(memory, format)
    return memory.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file with its right checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@functools.cache
def bomb() -> bytes:
    """A sound PNG of 20000 x 20000 black pixels in a few kilobytes."""
    side = 20_000
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + side // 8) * side), 9)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def with_wrong_checksum(png: bytes) -> bytes:
    """The file with one checksum of its pixel data changed."""
    start = png.index(b"IDAT")
    (length,) = struct.unpack(">I", png[start - 4 : start])
    at = start + 4 + length
    return png[:at] + bytes([png[at] ^ 0xFF]) + png[at + 1 :]


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


Breaker = Callable[[Image.Image, np.random.Generator], bytes]

BREAKERS: dict[str, tuple[str, Breaker]] = {
    "truncated png": (".png", lambda i, r: _half(_encoded(i, "PNG"))),
    "truncated jpeg": (".jpg", lambda i, r: _half(_encoded(i, "JPEG"))),
    "empty": (".png", lambda i, r: b""),
    "text": (".png", lambda i, r: b"This is a text, whatever its name says.\n" * 9),
    "random bytes": (".jpg", lambda i, r: b"\x07" + r.bytes(999)),
    "wrong checksum": (".png", lambda i, r: with_wrong_checksum(_encoded(i, "PNG"))),
    "bomb": (".png", lambda i, r: bomb()),
}


def add_broken_files(path: Path, count: int = 40, seed: int = 1) -> dict[str, str]:
    """Write `count` unusable files (and folders named like pictures), all kinds in turn.

    Returns the kind of each by path relative to `path` with forward slashes.
    """
    source, random = crops(seed), np.random.default_rng(seed)
    kinds = [*BREAKERS, "folder"]
    written: dict[str, str] = {}
    for number in range(count):
        kind = kinds[number % len(kinds)]
        ending = BREAKERS[kind][0] if kind in BREAKERS else ".png"
        name = f"{'broken/' if number % 3 else ''}{number:02d} {kind.replace(' ', '-')}{ending}"
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        if kind == "folder":
            (path / name).mkdir()
        else:
            (path / name).write_bytes(BREAKERS[kind][1](next(source), random))
        written[name] = kind
    return dict(sorted(written.items()))

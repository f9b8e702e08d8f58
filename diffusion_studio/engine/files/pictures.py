"""Pictures on disk: grids as PNG with the settings inside, chains as animations."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data import png
from diffusion_studio.engine.files.files import to_json, write_atomically
from diffusion_studio.engine.files.reading import regular
from diffusion_studio.engine.files.videos import VIDEO, encoded

SETTINGS = "diffusion_studio"  # the PNG text chunk that holds the settings
GAP = 2
MOST_PICTURE = 256 << 20  # bytes


def mosaic(images: NDArray[np.uint8], columns: int = 0, background: int = 32) -> NDArray[np.uint8]:
    """Images side by side in a nearly square grid.

    Args:
        images: (n, H, W, C).
        columns: 0 chooses.

    Returns:
        (H', W', C)
    """
    n, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    grid = np.full(
        (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, channels), background, np.uint8
    )
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + GAP), (i % columns) * (width + GAP)
        grid[top : top + height, left : left + width] = image
    return grid


def enlarged(image: NDArray[np.uint8], at_least: int = 256) -> NDArray[np.uint8]:
    """A small picture with every pixel repeated, so that it can be looked at. (H, W, C)"""
    factor = max(1, math.ceil(at_least / min(image.shape[:2])))
    return image.repeat(factor, 0).repeat(factor, 1)


def _pillow(image: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


def save_grid(
    path: Path, images: NDArray[np.uint8], settings: dict[str, Any], columns: int = 0, at_least: int = 0
) -> None:
    """A grid of images as PNG with the settings in its text chunk.

    Args:
        images: (n, H, W, C).
        at_least: small grids are enlarged, pixel by pixel, until their shorter side has so many pixels.
    """
    info = PngInfo()
    info.add_itxt(SETTINGS, to_json(settings, None).decode())
    buffer = io.BytesIO()
    _pillow(enlarged(mosaic(images, columns), at_least)).save(buffer, "PNG", pnginfo=info)
    write_atomically(path, buffer.getvalue())


def read_settings(path: Path) -> dict[str, Any] | None:
    """The settings inside a PNG that this app wrote, or None."""
    try:
        content = json.loads(_opened(path)[1][SETTINGS])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # any other file: not ours
        return None
    return content if isinstance(content, dict) else None


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """The pixels of a PNG that this app wrote. (H, W, 1 or 3)

    Raises:
        OSError: it cannot be read.
        Refused: it is damaged, or no such picture.
    """
    pixels, _ = _opened(path)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if pixels.dtype != np.uint8 or pixels.shape[2] not in (1, 3):
        raise Refused(tr("{name} is no picture of samples", name=path.name))
    return pixels


def read_grid(path: Path, height: int, width: int) -> NDArray[np.uint8]:
    """The images of a grid that `save_grid` wrote, without the empty cells of its last row. (n, H, W, C)

    Raises:
        OSError: it cannot be read.
        Refused: it is no grid of such images; the message says why.
    """
    pixels, _ = _opened(path)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    rows, columns = (pixels.shape[0] + GAP) // (height + GAP), (pixels.shape[1] + GAP) // (width + GAP)
    cells = [
        pixels[
            r * (height + GAP) : r * (height + GAP) + height, c * (width + GAP) : c * (width + GAP) + width
        ]
        for r in range(rows)
        for c in range(columns)
    ]
    if not cells:
        raise Refused(tr("{name} is smaller than one image", name=path.name))
    count = (read_settings(path) or {}).get("count")
    return np.stack(cells)[: count if isinstance(count, int) and count > 0 else None]


def _opened(path: Path) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """The pixels (H, W) or (H, W, C) and the texts of a PNG.

    Raises:
        OSError: it cannot be read.
        Refused: it is damaged, or no such picture.
    """
    try:
        with regular(path, MOST_PICTURE).open("rb") as file:
            png.check(file)
            with Image.open(file, formats=["PNG"]) as image:
                pixels = np.asarray(image)
                return pixels, dict(image.text)  # type: ignore[attr-defined]
    except OSError:
        raise
    except Exception as error:  # a damaged file makes the reader raise almost anything
        raise Refused(tr("{name} is damaged", name=path.name)) from error


ANIMATIONS = (".gif", ".webp", ".apng", VIDEO)


def save_animation(
    path: Path, frames: Sequence[NDArray[np.uint8]], settings: dict[str, Any], milliseconds: int = 60
) -> None:
    """Pictures (H, W, C) as a GIF, WebP, APNG or MP4, by the file's name, that rests on the last one.

    All but the MP4 are endless; WebP and APNG lose no colour. The settings stand in a comment (GIF, MP4), in
    XMP (WebP) or in a text chunk.

    Raises:
        Refused: an MP4, where the library for it is not installed.
    """
    large = [enlarged(frame) for frame in frames]
    if path.suffix.lower() == VIDEO:
        write_atomically(path, encoded(large, json.dumps(settings), milliseconds))
        return
    pictures = [_pillow(frame) for frame in large]
    durations = [milliseconds] * (len(pictures) - 1) + [1500]
    common: dict[str, Any] = {
        "save_all": True, "append_images": pictures[1:], "duration": durations, "loop": 0
    }  # fmt: skip
    text = to_json(settings, None)
    buffer = io.BytesIO()
    match path.suffix.lower():
        case ".gif":
            pictures[0].save(buffer, "GIF", comment=json.dumps(settings).encode()[:60000], **common)
        case ".webp":
            common["append_images"] = [picture.convert("RGB") for picture in pictures[1:]]
            pictures[0].convert("RGB").save(buffer, "WEBP", lossless=True, xmp=text, **common)
        case _:
            info = PngInfo()
            info.add_itxt(SETTINGS, text.decode())
            pictures[0].save(buffer, "PNG", pnginfo=info, **common)
    write_atomically(path, buffer.getvalue())

"""Pictures made of numbers: colour maps of even lightness, and dots put straight into the pixels."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QImage

from diffusion_studio.widgets.look.theme import Palette

Pixels = NDArray[np.uint32]  # 0xffRRGGBB
Floats = NDArray[np.floating]

_TO_LMS = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
])  # fmt: skip
_TO_LAB = np.array([
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
])  # fmt: skip


def oklab(colors: Floats) -> Floats:
    """sRGB in [0, 1] (…, 3) as lightness, green–red and blue–yellow (Ottosson 2020)."""
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    lab: Floats = np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T
    return lab


def from_oklab(lab: Floats) -> Floats:
    """The opposite of `oklab`."""
    linear = np.clip((lab @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_LMS).T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def rgb(color: str) -> Floats:
    return np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def packed(color: str | QColor) -> int:
    """A colour as one number, as a QImage of the format RGB32 holds it."""
    return int(QColor(color).rgb())


def ramp(*colors: str, count: int = 256) -> Pixels:
    """`count` colours through the given ones, in steps that look alike: lightness rises or falls evenly."""
    anchors = oklab(np.array([rgb(c) for c in colors]))
    places = anchors[:, 0]
    places = (places - places[0]) / (places[-1] - places[0])  # even in lightness
    at = np.linspace(0, 1, count)
    lab = np.stack([np.interp(at, places, anchors[:, i]) for i in range(3)], 1)
    r, g, b = np.round(255 * from_oklab(lab)).astype(np.uint32).T
    colours: Pixels = (0xFF000000 | (r << 16) | (g << 8) | b).astype(np.uint32)
    return colours


@lru_cache(maxsize=8)
def density_map(palette: Palette) -> Pixels:
    """From the background to blue."""
    if palette.dark:
        return ramp("#15181d", "#173352", "#1f6aa5", "#58b4ea")
    return ramp("#f7f8fa", "#c4dcee", "#6aaede", "#1f78b4")


@lru_cache(maxsize=8)
def error_map(palette: Palette) -> Pixels:
    """From the background to vermilion."""
    if palette.dark:
        return ramp("#15181d", "#5a2a12", "#d55e00", "#ffb27a")
    return ramp("#f7f8fa", "#f6c9a6", "#d55e00", "#7a3300")


@lru_cache(maxsize=8)
def age_map(palette: Palette) -> Pixels:
    """From early to late: through vermilion, away from the colours of the density."""
    if palette.dark:
        return ramp("#7a2e00", "#d55e00", "#f0b042", "#fff6c8")
    return ramp("#f0c060", "#d55e00", "#7a2200", "#2a0a00")


def painted(shares: Floats, colors: Pixels) -> QImage:
    """Numbers in [0, 1] (rows, columns), rows from the bottom up, as a picture of its own."""
    at = np.clip(np.nan_to_num(shares), 0, 1) * (len(colors) - 1)
    pixels = np.ascontiguousarray(colors[at.astype(np.int32)][::-1])
    rows, columns = pixels.shape
    return QImage(pixels.data, columns, rows, 4 * columns, QImage.Format.Format_RGB32).copy()


def image_of(pixels: Pixels, ratio: float = 1.0) -> QImage:
    """Pixels (H, W) as a picture that shares their memory: they must outlive it."""
    height, width = pixels.shape
    image = QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(ratio)
    return image


def _disc(radius: float) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Offsets inside a disc, and those on its rim."""
    reach = int(radius + 1)
    core, rim = [], []
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            distance = (dx * dx + dy * dy) ** 0.5
            if distance <= radius - 0.35:
                core.append((dx, dy))
            elif distance <= radius + 0.25:
                rim.append((dx, dy))
    return core, rim


def radius_for(count: int) -> float:
    """How large a dot is, so that many still leave the field to be seen; in logical pixels."""
    return 3.2 if count <= 200 else 2.5 if count <= 1500 else 2.0 if count <= 6000 else 1.0


def splat(frame: Pixels, x: Floats, y: Floats, colors: Pixels | int, radius: float) -> None:
    """Puts a round dot at every (x, y), in pixels, into `frame` (H, W); rims are half covered."""
    height, width = frame.shape
    reach = int(radius + 1)
    with np.errstate(invalid="ignore"):
        inside = (x >= reach) & (x < width - reach - 1) & (y >= reach) & (y < height - reach - 1)
        at = y[inside].astype(np.int32) * width + x[inside].astype(np.int32)
    color = colors[inside] if isinstance(colors, np.ndarray) else np.uint32(colors)
    half = (color >> 1) & np.uint32(0x7F7F7F)
    flat = frame.reshape(-1)
    core, rim = _disc(radius)
    for dx, dy in rim:
        place = at + (dy * width + dx)
        flat[place] = (((flat[place] >> 1) & np.uint32(0x7F7F7F)) + half) | np.uint32(0xFF000000)
    for dx, dy in core:
        flat[at + (dy * width + dx)] = color

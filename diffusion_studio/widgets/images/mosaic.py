"""Laying out many small pictures and making one of them; everything in device pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QImage

Images = NDArray[np.uint8]  # (N, H, W, C), C is 1 or 3
Words = NDArray[np.uint32]  # (N, H, W), 0xffRRGGBB
OPAQUE = np.uint32(0xFF000000)
_RED, _GREEN = np.uint32(16), np.uint32(8)  # where their bits begin

_EMPTY = 0.45  # of their size is what a last row without any pictures would cost
_TINY = 48  # pictures up to this size are enlarged by whole factors only


@dataclass(frozen=True)
class Layout:
    """Where `count` tiles stand, in device pixels from the top left of the widget."""

    count: int
    columns: int
    rows: int
    tile: tuple[int, int]  # width, height
    gap: tuple[int, int]  # between columns, between rows
    origin: tuple[int, int]
    exact: bool  # enlarged by a whole factor

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of all tiles with the gaps between them."""
        return (
            self.columns * (self.tile[0] + self.gap[0]) - self.gap[0],
            self.rows * (self.tile[1] + self.gap[1]) - self.gap[1],
        )

    def corner(self, index: int) -> tuple[int, int]:
        """The top left of tile `index`, relative to the origin."""
        row, column = divmod(index, self.columns)
        return column * (self.tile[0] + self.gap[0]), row * (self.tile[1] + self.gap[1])

    def index_at(self, x: float, y: float) -> int | None:
        """The tile under a point of the widget; None in a gap or outside."""
        x, y = x - self.origin[0], y - self.origin[1]
        column, row = int(x // (self.tile[0] + self.gap[0])), int(y // (self.tile[1] + self.gap[1]))
        index = row * self.columns + column
        inside = 0 <= column < self.columns and row >= 0 and index < self.count
        if not inside:
            return None
        left, top = self.corner(index)
        return index if x - left < self.tile[0] and y - top < self.tile[1] else None


def fit(
    count: int, picture: tuple[int, int], area: tuple[int, int], gap: tuple[int, int], centre: bool = True,
    columns: int | None = None,
) -> Layout:  # fmt: skip
    """The layout with the largest tiles for `count` pictures of `picture` (width, height) in `area`.

    A row that is not full is avoided where that costs little of their size.

    `columns` fixes their number; None takes the one that fits best. What the gap between rows has more than
    that between columns is room for words under each picture.
    """
    choices = range(1, count + 1) if columns is None else (columns,)
    options = [_option(count, choice, picture, area, gap) for choice in choices]
    factor, _, _, columns = max(options, key=lambda found: (_worth(*found), *found[1:]))
    tile = (max(1, int(picture[0] * factor + 1e-9)), max(1, int(picture[1] * factor + 1e-9)))
    rows = math.ceil(count / columns)
    found = Layout(count, columns, rows, tile, gap, (0, 0), factor >= 1 and factor == int(factor))
    below = gap[1] - gap[0]  # of the last row as of all others
    spare = area[0] - found.size[0], area[1] - found.size[1] - below
    return replace(found, origin=(max(0, spare[0] // 2), max(0, spare[1] // 2))) if centre else found


def _worth(factor: float, lacking: int, shape: float, columns: int) -> float:
    """The size of the tiles, less for a last row that is hardly begun; `lacking` counts down from 0."""
    return factor * (1 + _EMPTY * lacking / columns)


def _option(
    count: int, columns: int, picture: tuple[int, int], area: tuple[int, int], gap: tuple[int, int]
) -> tuple[float, int, float, int]:
    """What speaks for that many columns: the size of tiles, places that stay empty, the area's shape."""
    rows = math.ceil(count / columns)
    across = (area[0] - gap[0] * (columns - 1)) / (columns * picture[0])
    down = (area[1] - gap[1] * rows) / (rows * picture[1])
    shape = abs(math.log(max(columns * picture[0] * area[1], 1) / max(rows * picture[1] * area[0], 1)))
    return _factor(min(across, down), picture), count - rows * columns, -shape, columns


def _factor(room: float, picture: tuple[int, int]) -> float:
    """How much to enlarge: whole factors for tiny pictures, so that every pixel is a sharp square."""
    if room >= 1 and (max(picture) <= _TINY or room >= 4):
        return float(math.floor(room))
    return max(room, 0.0)


def packed(images: Images) -> Words:
    """`images` (N, H, W, C) as opaque 0xffRRGGBB words (N, H, W)."""
    wide = images.astype(np.uint32)
    red, green, blue = (wide[..., c] for c in ((0, 1, 2) if images.shape[-1] == 3 else (0, 0, 0)))
    return OPAQUE | (red << _RED) | (green << _GREEN) | blue


def compose(words: Words, layout: Layout) -> Words:
    """All tiles enlarged by a whole factor on transparent ground: one array (height, width)."""
    count, height, width = words.shape
    sheet = np.zeros((layout.rows * layout.columns, height, width), np.uint32)
    sheet[:count] = words
    rows = sheet.reshape(layout.rows, layout.columns, height, width).swapaxes(1, 2)
    plane = rows.reshape(layout.rows * height, layout.columns * width)
    padded = np.pad(plane, ((0, 1), (0, 1)))  # the last row and column fill the gaps
    across = _sources(layout.columns, width, layout.tile[0] // width, layout.gap[0])
    down = _sources(layout.rows, height, layout.tile[1] // height, layout.gap[1])
    return padded.take(across, axis=1).take(down, axis=0)


def _sources(tiles: int, length: int, factor: int, gap: int) -> NDArray[np.intp]:
    """For every output pixel along one axis its source pixel; `tiles * length` stands for a gap."""
    lines = np.arange(tiles * length).repeat(factor).reshape(tiles, -1)
    return np.pad(lines, ((0, 0), (0, gap)), constant_values=tiles * length).ravel()[: -gap or None]


def round_corners(sheet: Words, layout: Layout, radius: int) -> None:
    """Fade the corners of every tile in `sheet` (premultiplied ARGB) in place."""
    width, height = layout.tile
    radius = min(radius, width // 4, height // 4)
    across, down = width + layout.gap[0], height + layout.gap[1]
    channels = sheet.view(np.uint8).reshape(*sheet.shape, 4)
    for y in range(radius):
        for x in range(radius):
            cover = radius + 0.5 - math.hypot(radius - x - 0.5, radius - y - 0.5)
            if cover >= 1:
                continue
            for top in (y, height - 1 - y):
                for left in (x, width - 1 - x):
                    pixels = channels[top::down, left::across]
                    pixels[...] = (pixels * max(0.0, cover)).astype(np.uint8)


def as_image(words: Words, opaque: bool = False) -> QImage:
    """A QImage with its own copy of `words` (height, width)."""
    kind = QImage.Format.Format_RGB32 if opaque else QImage.Format.Format_ARGB32_Premultiplied
    words = np.ascontiguousarray(words)
    return QImage(words.data, words.shape[1], words.shape[0], 4 * words.shape[1], kind).copy()


def compose_smooth(words: Words, layout: Layout) -> Words:
    """All tiles scaled with smoothing, for pictures that have to shrink or are large."""
    sheet = np.zeros((layout.size[1], layout.size[0]), np.uint32)
    for index, tile in enumerate(words):
        scaled = as_image(tile, opaque=True).scaled(
            QSize(*layout.tile),
            Qt.AspectRatioMode.IgnoreAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        scaled = scaled.convertToFormat(QImage.Format.Format_RGB32)
        rows = np.frombuffer(scaled.constBits(), np.uint32).reshape(scaled.height(), -1)
        left, top = layout.corner(index)
        sheet[top : top + layout.tile[1], left : left + layout.tile[0]] = rows[:, : layout.tile[0]]
    return sheet

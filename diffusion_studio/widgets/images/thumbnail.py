"""A few images as one small picture, for lists."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPixmap


def thumbnail(images: NDArray[np.uint8], side: int) -> QPixmap:
    """The first four of `images` (n, H, W, C) as a square of `side` pixels."""
    n, height, width, channels = images.shape
    sheet = np.zeros((2 * height, 2 * width, channels), np.uint8)
    for i in range(min(n, 4)):
        row, column = divmod(i, 2)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = images[i]
    colour = np.ascontiguousarray(np.broadcast_to(sheet, (2 * height, 2 * width, 3)))
    image = QImage(colour.data, 2 * width, 2 * height, 6 * width, QImage.Format.Format_RGB888)
    smooth = (
        Qt.TransformationMode.FastTransformation
        if side >= 2 * width
        else Qt.TransformationMode.SmoothTransformation
    )
    return QPixmap.fromImage(image.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, smooth))

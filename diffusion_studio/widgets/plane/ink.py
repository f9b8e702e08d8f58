"""Text and pictures as densities: how much ink there is at each place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter

_SIDE = 320


def ink_of_picture(image: QImage) -> NDArray[np.float64]:
    """1 where the drawing is, 0 where its ground is, be it dark on light, light on dark or clear. (H, W)"""
    small = image.convertToFormat(QImage.Format.Format_RGBA8888).scaled(
        _SIDE, _SIDE, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
    )
    words = np.frombuffer(small.constBits(), np.uint8).reshape(small.height(), small.bytesPerLine() // 4, 4)
    pixels = words[:, : small.width()].astype(np.float64) / 255
    if pixels[..., 3].min() < 0.5:
        return pixels[..., 3]
    light = pixels[..., :3] @ np.array([0.2126, 0.7152, 0.0722])
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    away = np.abs(light - np.median(border))
    return np.where(away > 0.5 * max(float(away.max()), 1e-6), 1.0, 0.0) if away.max() > 0.1 else 0 * away


def ink_of_text(text: str) -> NDArray[np.float64]:
    """A word, drawn bold. (H, W)"""
    font = QFont()
    font.setPixelSize(160)
    font.setBold(True)
    metrics = QFontMetrics(font)
    width, height = max(1, metrics.horizontalAdvance(text)), metrics.height()
    image = QImage(width + 20, height, QImage.Format.Format_RGBA8888)
    image.fill(QColor(0, 0, 0, 0))
    painter = QPainter(image)
    painter.setFont(font)
    painter.drawText(10, metrics.ascent(), text)
    painter.end()
    ink = ink_of_picture(image)
    rows, columns = np.nonzero(ink.max(1) > 0.5)[0], np.nonzero(ink.max(0) > 0.5)[0]
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else ink

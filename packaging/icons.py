"""Draws the icons of Windows and macOS from resources/icon.svg: python packaging/icons.py FOLDER."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from PIL import Image
from PySide6.QtCore import QBuffer, QIODevice, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

SOURCE = Path(__file__).resolve().parents[1] / "resources" / "icon.svg"
SIDES = (16, 24, 32, 48, 64, 128, 256)


def drawn(side: int) -> Image.Image:
    """The icon at one size."""
    image = QImage(side, side, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(str(SOURCE)).render(painter)
    painter.end()
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return Image.open(io.BytesIO(buffer.data().data()))


def write_icons(folder: Path) -> None:
    """Writes icon.ico, icon.icns and icon.png."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {side: drawn(side) for side in (*SIDES, 512, 1024)}
    small = [pictures[side] for side in SIDES]
    pictures[256].save(folder / "icon.ico", sizes=[picture.size for picture in small], append_images=small)
    pictures[1024].save(folder / "icon.icns", append_images=[pictures[512], pictures[256], pictures[128]])
    pictures[256].save(folder / "icon.png")


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # no screen is needed for it
    application = QGuiApplication(sys.argv[:1])
    write_icons(Path(sys.argv[1]))

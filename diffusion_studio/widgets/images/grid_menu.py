"""What a right click on pictures offers: enlarge, copy, save; one of them or all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication, QImage, QImageWriter
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.frame.enlarge import toggle
from diffusion_studio.widgets.frame.saved import tell_failed, tell_saved

_COPIED = 256  # pixels of the side of a copied picture, about: eight pixels of a digit are hard to see


def enlarged(image: QImage) -> QImage:
    """The same picture by a whole factor, for other programs."""
    factor = max(1, _COPIED // max(image.width(), 1))
    size = image.size() * factor
    mode = Qt.TransformationMode.FastTransformation
    return image.scaled(size, Qt.AspectRatioMode.IgnoreAspectRatio, mode)


def save_image(image: QImage, path: str) -> bool:
    """Writes a PNG; False when the disk refuses."""
    return bool(QImageWriter(path, b"png").write(image))


def open_menu(
    owner: QWidget, at: QPoint, one: Callable[[], QImage] | None, all_of_them: Callable[[], QImage] | None,
    failed: Callable[[str], object],
) -> QMenu:  # fmt: skip
    """Opens the menu at a place of the screen.

    Args:
        one: makes the picture under the pointer in its own pixels; None beside all pictures.
        all_of_them: makes all as laid out; None where there are none.
        failed: is given a sentence when a file is not written.
    """
    menu = QMenu(owner)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    menu.addAction(tr("Enlarge\tF11"), lambda: toggle(owner))
    clipboard = QGuiApplication.clipboard()
    if one is not None:
        menu.addSeparator()
        menu.addAction(tr("Copy this picture"), lambda: clipboard.setImage(enlarged(one())))
        menu.addAction(tr("Save this picture …"), partial(ask_where, owner, one, failed))
    if all_of_them is not None:
        menu.addSeparator()
        menu.addAction(tr("Copy all pictures"), lambda: clipboard.setImage(all_of_them()))
        menu.addAction(tr("Save all pictures …"), partial(ask_where, owner, all_of_them, failed))
    menu.popup(at)
    return menu


def ask_where(
    owner: QWidget, make: Callable[[], QImage], failed: Callable[[str], object] | None = None
) -> None:
    """Asks where to write what `make` makes, and writes it; `failed` is given a sentence where it cannot."""
    dialog = QFileDialog(owner, tr("Save"), str(Path.home() / "pictures.png"), "PNG (*.png)")
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix("png")
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(partial(_write, owner, make, failed))
    dialog.open()


def _write(
    owner: QWidget, make: Callable[[], QImage], failed: Callable[[str], object] | None, path: str
) -> None:
    if save_image(make(), path):
        tell_saved(owner, path)
        return
    sentence = tr("{name} was not written: the file cannot be written there.", name=Path(path).name)
    if failed is not None:
        failed(sentence)
    tell_failed(owner, sentence)

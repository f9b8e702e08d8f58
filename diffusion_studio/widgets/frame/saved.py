"""What is said once a file was written, or could not be, wherever in a page it was asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget


class Teller(QWidget):
    """A widget that says, for all that stand in it, what became of a file."""

    file_saved = Signal(str)  # its path
    file_failed = Signal(str)  # a sentence


def tell_saved(widget: QWidget, path: str | Path) -> None:
    """Lets the page in which `widget` stands say that a file was written."""
    if (teller := _teller_of(widget)) is not None:
        teller.file_saved.emit(str(path))


def tell_failed(widget: QWidget, sentence: str) -> None:
    """Lets the page in which `widget` stands say why a file was not written."""
    if (teller := _teller_of(widget)) is not None:
        teller.file_failed.emit(sentence)


def _teller_of(widget: QWidget | None) -> Teller | None:
    while widget is not None and not isinstance(widget, Teller):
        widget = widget.parentWidget()
    return widget


def show_in_folder(path: str | Path) -> None:
    """Opens the folder of a file in the system's own program, with the file chosen where that can be."""
    place = Path(path)
    if sys.platform == "darwin":
        subprocess.Popen(["open", "-R", str(place)])
    elif sys.platform == "win32":
        subprocess.Popen(["explorer", f"/select,{place}"])
    else:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(place.parent)))

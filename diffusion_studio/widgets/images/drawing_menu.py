"""What a right click on something drawn offers: enlarge, copy, save."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QMenu, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.frame.enlarge import toggle
from diffusion_studio.widgets.images.grid_menu import ask_where


def open_drawing_menu(drawn: QWidget, at: QPoint) -> QMenu:
    """Opens the menu of a card or a drawing at a place of the screen."""
    menu = QMenu(drawn)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    menu.addAction(tr("Enlarge\tF11"), partial(toggle, drawn))
    menu.addSeparator()
    menu.addAction(tr("Copy the picture"), lambda: QGuiApplication.clipboard().setImage(picture_of(drawn)))
    menu.addAction(tr("Save the picture …"), partial(ask_where, drawn, partial(picture_of, drawn)))
    menu.popup(at)
    return menu


def picture_of(drawn: QWidget) -> QImage:
    """It as it is seen, on its ground."""
    window = drawn.window()
    place = drawn.mapTo(window, QPoint(0, 0))
    return window.grab(drawn.rect().translated(place)).toImage()

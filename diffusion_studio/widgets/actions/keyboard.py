"""Who gets a key first: a field what it needs itself, and the window's actions everything else."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)
from shiboken6 import isValid

_ARROWS = (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End)
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_TEXT_FIELDS = (QLineEdit, QAbstractSpinBox, QPlainTextEdit, QTextEdit)
_LISTS = (QComboBox, QAbstractItemView)
_ARROW_FIELDS = (QAbstractSlider, *_LISTS)
_TYPING = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier


class Keyboard(QObject):
    """Watches the one widget of a window that has the focus, and brings the focus back to the picture."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._watched: QWidget | None = None
        self._home: QWidget | None = None
        self._by_mouse = False  # the list at hand was opened by the pointer
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._on_focus)
        self._on_focus(None, QApplication.focusWidget())

    def set_home(self, home: QWidget) -> None:
        """Where the focus goes after a choice in a list."""
        self._home = home

    def _on_focus(self, before: QWidget | None, now: QWidget | None) -> None:
        if now is not None and now.window().windowType() == Qt.WindowType.Popup:
            return  # an open list, from which the focus comes back
        if self._watched is not None and isValid(self._watched):
            self._watched.removeEventFilter(self)
            if isinstance(self._watched, QComboBox):
                self._watched.activated.disconnect(self._on_chosen)
        ours = now is not None and (now is self._window or self._window.isAncestorOf(now))
        self._watched = now if ours else None
        if self._watched is not None:
            self._watched.installEventFilter(self)
            if isinstance(self._watched, QComboBox):
                self._watched.activated.connect(self._on_chosen)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and isinstance(watched, QWidget):
            return self._on_key(watched, event)
        if event.type() == QEvent.Type.MouseButtonPress:
            self._by_mouse = True
        return False

    def _on_chosen(self) -> None:
        """Something was chosen in the list that has the focus."""
        if self._by_mouse and isinstance(self._watched, QComboBox) and not self._watched.isEditable():
            QTimer.singleShot(0, self, self._go_home)

    def _on_key(self, focus: QWidget, event: QKeyEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and belongs_to_field(focus, event):
            event.accept()
            return True
        if event.type() == QEvent.Type.ShortcutOverride:
            return isinstance(focus, QLineEdit) and is_of_no_use(focus, event)  # and so is not offered
        if event.type() != QEvent.Type.KeyPress:
            return False
        self._by_mouse = False
        if event.key() in _ENTER and isinstance(focus, QAbstractButton):
            focus.click()  # Space may be an action's
            return True
        return isinstance(focus, _LISTS) and is_letter(event)  # which would choose by its beginning

    def _go_home(self) -> None:
        if self._home is not None and isValid(self._home) and self._home.isVisible():
            self._home.setFocus(Qt.FocusReason.OtherFocusReason)


def is_letter(event: QKeyEvent) -> bool:
    """Whether the key writes something that can be seen."""
    text = event.text()
    return not event.modifiers() & ~_TYPING and text.isprintable() and bool(text.strip())


def is_of_no_use(line: QLineEdit, event: QKeyEvent) -> bool:
    """Whether a line of text would take the key though it can do nothing, or only what nobody expects."""
    keys = QKeySequence.StandardKey
    undo = event.matches(keys.Undo) and not line.isUndoAvailable()
    redo = event.matches(keys.Redo) and not line.isRedoAvailable()
    return undo or redo or event.matches(keys.DeleteEndOfLine)  # Ctrl+K on some systems


def belongs_to_field(focus: QWidget, event: QKeyEvent) -> bool:
    """Whether `focus` needs the key itself: text fields what is typed, sliders, lists and the like arrows."""
    key = Qt.Key(event.key())
    if event.modifiers() & ~_TYPING or Qt.Key.Key_F1 <= key <= Qt.Key.Key_F35:
        return False
    if isinstance(focus, _TEXT_FIELDS) or (isinstance(focus, QComboBox) and focus.isEditable()):
        return True
    return (isinstance(focus, _ARROW_FIELDS) or bool(focus.property("keepsArrows"))) and key in _ARROWS

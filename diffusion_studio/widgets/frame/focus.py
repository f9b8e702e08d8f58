"""In which order the Tab key goes from control to control."""

from __future__ import annotations

from itertools import pairwise

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget


def stops(widget: QWidget) -> list[QWidget]:
    """The widgets inside `widget`, and itself, that take the focus."""
    inside = [widget, *widget.findChildren(QWidget)]
    takes = [w for w in inside if w.focusPolicy() & Qt.FocusPolicy.TabFocus]
    return [w for w in takes if w.window() is widget.window()]  # not the lists that combo boxes pop up


def follow_in_focus(before: QWidget, made: QWidget) -> None:
    """What is made later than its neighbours would be reached after all of them: it comes after `before`."""
    for earlier, later in pairwise([before, *stops(made)]):
        QWidget.setTabOrder(earlier, later)

"""Columns that scroll before anything of them is cut."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QStackedWidget, QWidget

from diffusion_studio.widgets.look.theme import Role


class ScrollColumn(QScrollArea):
    """Shows `inner` as high as it likes to be, in the width there is, but in never less than it needs.

    Args:
        least: pixels of height below which it does not go.
    """

    def __init__(self, inner: QWidget, least: int = 120, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._least, self._inside = least, inner
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(inner)
        inner.setAutoFillBackground(False)  # what lies behind is seen through it

    def minimumSizeHint(self) -> QSize:
        needed = self._inside.minimumSizeHint()
        return QSize(needed.width() + self._bar(), min(needed.height(), self._least))

    def sizeHint(self) -> QSize:
        wanted = self._inside.sizeHint()
        return QSize(wanted.width() + self._bar(), wanted.height())

    def _bar(self) -> int:
        return self.verticalScrollBar().sizeHint().width()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """What is inside may need more room than before."""
        handled = super().eventFilter(watched, event)
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return handled


class FillColumn(ScrollColumn):
    """Gives `inner` all the room there is, and scrolls only where this is less than it needs."""

    def __init__(self, inner: QWidget, least: int = 120, parent: QWidget | None = None) -> None:
        super().__init__(Holder(inner), least, parent)


class Holder(QWidget):
    """Around a widget whose height would follow from its width: it is asked for its least size only."""

    def __init__(self, inner: QWidget) -> None:
        super().__init__()
        self.hold(inner)

    def hold(self, inner: QWidget) -> None:
        """Puts `inner` in the place of what it held; that one is still inside until it goes elsewhere."""
        self._inner = inner
        inner.setParent(self)
        inner.setGeometry(self.rect())
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        return self._inner.sizeHint()

    def minimumSizeHint(self) -> QSize:
        return self._inner.minimumSizeHint().expandedTo(self._inner.minimumSize())

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._inner.setGeometry(self.rect())

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().event(event)


class Views(QStackedWidget):
    """Views in one place, one at a time: as wide as the widest, but no higher than the one that is seen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.currentChanged.connect(lambda _: self.updateGeometry())

    def minimumSizeHint(self) -> QSize:
        shown = self.currentWidget()
        least = super().minimumSizeHint()
        return least if shown is None else QSize(least.width(), shown.minimumSizeHint().height())


class Paragraph(QLabel):
    """Words in several lines that need the height of all of them.

    Where nobody asks for a height by the width, as in a splitter, a QLabel is content with that of one line.
    """

    def __init__(self, role: Role | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        if role is not None:
            self.setProperty("role", role)

    def minimumSizeHint(self) -> QSize:
        hint = super().minimumSizeHint()
        return QSize(hint.width(), max(hint.height(), self.heightForWidth(self.width())))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self.updateGeometry()

"""A few image files that a person brings: chosen or dropped, shown small, taken away one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QFileDialog,
    QPushButton,
    QSizePolicy,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.core.words import plural, tr
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.look.icons import pixmap, set_icon
from diffusion_studio.widgets.look.theme import GRID, label, theme

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")

_SIDE, _GAP, _CROSS = 56, GRID, 16
_STEPS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}


class ImageDrop(QWidget):
    """Thumbnails of files under a button that chooses more; reads no file itself."""

    files_changed = Signal(list)  # of paths, as a person left them

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)
        self.setAccessibleName(tr("Images"))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._hovering = False  # files, over this widget
        self.thumbs = Thumbnails(self)
        self.thumbs.remove_requested.connect(self.remove)
        self.button = QPushButton(tr("Choose images …"))
        self.button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.button.clicked.connect(self.choose)
        set_icon(self.button, "image", size=16)
        self._hint = label(tr("or drop them here"), "muted")
        row = FlowRow()
        row.addWidget(self.button)
        row.addWidget(self._hint)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 4)
        column.setSpacing(GRID)
        column.addWidget(self.thumbs)
        column.addLayout(row)
        self.set_files(())

    @property
    def files(self) -> tuple[str, ...]:
        return self.thumbs.files

    def set_files(self, files: Sequence[str]) -> None:
        """Show these files, each once, without a signal."""
        self.thumbs.set_files(tuple(dict.fromkeys(files)))
        self.thumbs.setVisible(bool(files))
        self._describe()

    def set_thumbnails(self, images: Mapping[str, QImage], errors: Mapping[str, str] | None = None) -> None:
        """The pictures of the files that were read; `errors` says of the others why they were not.

        A null picture is broken too. A file in neither is still being read.
        """
        broken = {
            path: tr("It cannot be read as an image.") for path, image in images.items() if image.isNull()
        }
        self.thumbs.set_images(images, {**broken, **(errors or {})})
        self._describe()

    def add(self, files: Sequence[str]) -> None:
        """A person brought these."""
        self._take([*self.files, *files])

    def remove(self, path: str) -> None:
        """A person took this one away."""
        self._take([file for file in self.files if file != path])

    def choose(self) -> None:
        """Ask for files."""
        dialog = QFileDialog(self, tr("Choose images"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        endings = " ".join("*" + suffix for suffix in SUFFIXES)
        dialog.setNameFilter(tr("Images ({endings})", endings=endings))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.filesSelected.connect(self.add)
        dialog.open()

    def _take(self, files: Sequence[str]) -> None:
        before = self.files
        self.set_files(files)
        if self.files != before:
            self.files_changed.emit(list(self.files))

    def _describe(self) -> None:
        files, broken = self.files, len(self.thumbs.broken)
        words = plural("1 image", "{n} images", len(files))
        words += tr(", {broken} cannot be read", broken=broken) if broken else ""
        self.setAccessibleDescription(words if files else tr("No images"))

    # dropping

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _image_files(event.mimeData()):
            event.acceptProposedAction()
            self._hover(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._hover(False)

    def dropEvent(self, event: QDropEvent) -> None:
        self._hover(False)
        if files := _image_files(event.mimeData()):
            event.acceptProposedAction()
            self.add(files)

    def _hover(self, hovering: bool) -> None:
        self._hovering = hovering
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._hovering:
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(theme().palette.accent), 1.5, Qt.PenStyle.DashLine))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
            painter.end()


class Thumbnails(QWidget):
    """Small pictures in rows, each with a cross; arrows and Delete once Tab has brought the focus here."""

    remove_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.files: tuple[str, ...] = ()
        self.broken: dict[str, str] = {}  # path to reason
        self._images: dict[str, QImage] = {}
        self._chosen: int | None = None
        self.setProperty("keepsArrows", True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Chosen images"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(_SIDE)
        theme().changed.connect(self.update)

    def set_files(self, files: tuple[str, ...]) -> None:
        if files != self.files:
            self.files = files
            self._chosen = min(self._chosen, len(files) - 1) if self._chosen is not None and files else None
            self.broken = {path: why for path, why in self.broken.items() if path in files}
            self._describe()
            self._fit_height()
            self.update()

    def set_images(self, images: Mapping[str, QImage], broken: Mapping[str, str]) -> None:
        self._images = {path: _scaled(image, self.devicePixelRatioF()) for path, image in images.items()}
        self.broken = {path: why for path, why in broken.items() if path in self.files}
        self.update()

    def rect_of(self, index: int) -> QRect:
        """Where a thumbnail is drawn."""
        row, column = divmod(index, self._columns(self.width()))
        return QRect(column * (_SIDE + _GAP), row * (_SIDE + _GAP), _SIDE, _SIDE)

    def cross_of(self, index: int) -> QRect:
        """Where the cross of a thumbnail is drawn."""
        return QRect(self.rect_of(index).right() - _CROSS - 1, self.rect_of(index).top() + 2, _CROSS, _CROSS)

    def _columns(self, width: int) -> int:
        return max(1, (width + _GAP) // (_SIDE + _GAP))

    def _fit_height(self) -> None:
        rows = -(-len(self.files) // self._columns(self.width()))
        if self.height() != (height := max(0, rows * (_SIDE + _GAP) - _GAP)):
            self.setFixedHeight(height)

    def sizeHint(self) -> QSize:
        return QSize(4 * (_SIDE + _GAP) - _GAP, self.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit_height()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self._at(event.position().toPoint())
        if index is None or event.button() != Qt.MouseButton.LeftButton:
            return
        if self.cross_of(index).contains(event.position().toPoint()):
            self.remove_requested.emit(self.files[index])
        else:
            self._choose(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if key in _STEPS and self.files:
            first = 0 if self._chosen is None else self._chosen + _STEPS[key]
            self._choose(min(max(first, 0), len(self.files) - 1))
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and self._chosen is not None:
            self.remove_requested.emit(self.files[self._chosen])
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            index = self._at(event.pos())
            text = "" if index is None else self._words(self.files[index])
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    def _at(self, point: QPoint) -> int | None:
        return next((i for i in range(len(self.files)) if self.rect_of(i).contains(point)), None)

    def _choose(self, index: int) -> None:
        self._chosen = index
        self._describe()
        self.update()

    def _words(self, path: str) -> str:
        return f"{Path(path).name}: {self.broken[path]}" if path in self.broken else Path(path).name

    def _describe(self) -> None:
        chosen = [self._words(self.files[self._chosen])] if self._chosen is not None else []
        self.setAccessibleDescription("; ".join([*chosen, tr("{count} in all", count=len(self.files))]))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for index, path in enumerate(self.files):
            self._draw_tile(painter, QRectF(self.rect_of(index)), path)
            self._draw_cross(painter, QRectF(self.cross_of(index)))
            if index == self._chosen:
                painter.setBrush(Qt.BrushStyle.NoBrush)
                width = 2 if self.hasFocus() else 1
                painter.setPen(QPen(QColor(theme().palette.accent), width))
                painter.drawRoundedRect(QRectF(self.rect_of(index)).adjusted(1, 1, -1, -1), 5, 5)
        painter.end()

    def _draw_tile(self, painter: QPainter, tile: QRectF, path: str) -> None:
        colors, image = theme().palette, self._images.get(path)
        outline = QPainterPath()
        outline.addRoundedRect(tile, 5, 5)
        painter.fillPath(outline, QColor(colors.fill))
        if path in self.broken or image is None or image.isNull():
            mark = ("warning", "warning") if path in self.broken else ("image", "faint")
            drawn = pixmap(mark[0], 24, mark[1], self.devicePixelRatioF())
            painter.drawPixmap(tile.center() - QPointF(12, 12), drawn)
            return
        painter.save()
        painter.setClipPath(outline)
        size = image.deviceIndependentSize()
        painter.drawImage(tile.center() - QPointF(size.width() / 2, size.height() / 2), image)
        painter.restore()

    def _draw_cross(self, painter: QPainter, room: QRectF) -> None:
        colors = theme().palette
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.background))
        painter.drawEllipse(room)
        painter.setPen(QPen(QColor(colors.text), 1.4))
        arm = room.adjusted(5, 5, -5, -5)
        painter.drawLine(arm.topLeft(), arm.bottomRight())
        painter.drawLine(arm.topRight(), arm.bottomLeft())


def _scaled(image: QImage, ratio: float) -> QImage:
    """`image` fitted into a thumbnail; small ones are enlarged without blur."""
    if image.isNull():
        return image
    side = round(_SIDE * ratio)
    kinds = Qt.TransformationMode
    kind = (
        kinds.FastTransformation if max(image.width(), image.height()) < side else kinds.SmoothTransformation
    )
    made = image.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, kind)
    made.setDevicePixelRatio(ratio)
    return made


def _image_files(data: QMimeData) -> list[str]:
    """The local image files among what is dragged."""
    paths = [url.toLocalFile() for url in data.urls() if url.isLocalFile()]
    return [path for path in paths if path.lower().endswith(SUFFIXES)]

"""The menu of a plot: reset, table, and files of what one sees."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QPoint, QRect, Qt, Signal
from PySide6.QtGui import QColor, QContextMenuEvent, QGuiApplication, QImage, QImageWriter, QPainter
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.frame.enlarge import toggle
from diffusion_studio.widgets.frame.saved import tell_failed, tell_saved
from diffusion_studio.widgets.look.theme import theme
from diffusion_studio.widgets.plots.table import Table, TableDialog, table_text, write_csv


class ExportingWidget(QWidget):
    """A widget whose data can be shown as a table and written as SVG, PNG and CSV."""

    exported = Signal(str)  # the path written
    export_failed = Signal(str)  # a sentence

    _menu: QMenu | None = None

    def as_table(self) -> Table:
        """The data: headers and rows."""
        raise NotImplementedError

    def paint_now(self) -> None:
        """Bring the picture up to date."""
        raise NotImplementedError

    def reset_view(self) -> None:
        """Show all of the data again."""
        raise NotImplementedError

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if self._menu is None:
            self._menu = self._make_menu()
        self._menu.popup(event.globalPos())

    def _make_menu(self) -> QMenu:
        """The menu of the right button and of the menu key."""
        menu = QMenu(self)
        menu.addAction(tr("Enlarge\tF11"), partial(toggle, self))
        menu.addAction(tr("Reset view"), self.reset_view)
        menu.addAction(tr("Show as table"), self.show_table)
        menu.addSeparator()
        menu.addAction(tr("Copy the picture"), self.copy_picture)
        menu.addAction(tr("Copy the table"), self.copy_table)
        menu.addSeparator()
        for kind in ("SVG", "PNG", "CSV"):
            menu.addAction(tr("Export {kind}…", kind=kind), partial(self._ask_and_export, kind))
        return menu

    def show_table(self) -> TableDialog:
        """Open the data as a table."""
        dialog = TableDialog(self.accessibleName(), self.as_table(), self)
        dialog.open()
        return dialog

    def copy_picture(self) -> None:
        """Put the plot on the clipboard as a picture."""
        QGuiApplication.clipboard().setImage(self._image(2.0))

    def copy_table(self) -> None:
        """Put the data on the clipboard, with tabs between the cells."""
        QGuiApplication.clipboard().setText(table_text(self.as_table(), "\t"))

    def _ask_and_export(self, kind: str) -> None:
        dialog = QFileDialog(self, tr("Export {kind}", kind=kind), "", f"{kind} (*.{kind.lower()})")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(kind.lower())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.export)
        dialog.open()

    def export(self, path: str | Path) -> None:
        """Write the plot, as the ending of `path` says (svg, png, csv); tell by signal how it went."""
        writers = {".svg": self.export_svg, ".png": self.export_png, ".csv": self.export_csv}
        write = writers.get(Path(path).suffix.lower())
        try:
            if write is None:
                raise OSError(tr("the name must end in .svg, .png or .csv"))
            write(path)
        except OSError as error:
            reason = error.strerror or str(error)
            sentence = tr("{name} was not written: {reason}.", name=Path(path).name, reason=reason)
            self.export_failed.emit(sentence)
            tell_failed(self, sentence)
        else:
            self.exported.emit(str(path))
            tell_saved(self, path)

    def export_csv(self, path: str | Path) -> None:
        write_csv(path, self.as_table())

    def export_svg(self, path: str | Path) -> None:
        """Write the plot as SVG.

        Raises:
            OSError: the file cannot be written.
        """
        Path(path).touch()
        generator = QSvgGenerator()
        generator.setFileName(str(path))
        generator.setSize(self.size())
        generator.setViewBox(QRect(0, 0, self.width(), self.height()))
        generator.setTitle(self.accessibleName())
        generator.setDescription(self.accessibleDescription())
        self._render(QPainter(generator))

    def export_png(self, path: str | Path, ratio: float = 2.0) -> None:
        """Write the plot as PNG, `ratio` device pixels per pixel.

        Raises:
            OSError: the file cannot be written.
        """
        if not QImageWriter(str(path), b"png").write(self._image(ratio)):
            raise OSError(tr("the file cannot be written"))

    def _image(self, ratio: float) -> QImage:
        image = QImage(self.size() * ratio, QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(ratio)
        self._render(QPainter(image))
        return image

    def _render(self, painter: QPainter) -> None:
        self.paint_now()
        painter.fillRect(self.rect(), QColor(theme().palette.card))
        self.render(painter, QPoint(0, 0), renderFlags=QWidget.RenderFlag.DrawChildren)
        painter.end()

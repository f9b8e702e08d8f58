"""Icons drawn for the application: SVG files tinted with the palette, crisp at every scale."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QObject, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QAbstractButton, QApplication

from diffusion_studio.widgets.look.resources import resource
from diffusion_studio.widgets.look.theme import theme

_PIXELS = (16, 18, 20, 24, 32, 36, 40, 48)  # 16, 18, 20 and 24 at a scale of 1 and 2


def icon(name: str, color: str | None = None) -> QIcon:
    """The icon `name` in `color`: a palette field such as "muted", #rrggbb, or the text colour.

    A name with a slash is a drawing that lies somewhere else in the package. It keeps its colour; `set_icon`
    follows the theme. Raises FileNotFoundError for an unknown name.
    """
    tint, off = _hex(color or "text"), theme().palette.faint
    cache = _IconCache.of_application().icons
    key = (name, tint, off)
    if key not in cache:
        cache[key] = _rendered(name, tint, off)
    return cache[key]


def pixmap(name: str, size: int, color: str | None = None, ratio: float = 1.0) -> QPixmap:
    """The icon `name`, `size` logical pixels wide, for a screen of the scale `ratio`."""
    tint, cache = _hex(color or "text"), _IconCache.of_application().pixmaps
    key = (name, tint, round(size * ratio), ratio)
    if key not in cache:
        cache[key] = _pixmap(_renderer(name, tint), round(size * ratio))
        cache[key].setDevicePixelRatio(ratio)
    return cache[key]


def set_icon(button: QAbstractButton, name: str, color: str | None = None, size: int = 18) -> None:
    """Put the icon `name` on `button` and tint it again whenever the theme changes."""
    follower = button.findChild(_Follower, options=Qt.FindChildOption.FindDirectChildrenOnly)
    (follower or _Follower(button)).show(name, color, size)


class _Follower(QObject):
    """Keeps the icon of its parent button in the colours of the theme."""

    def __init__(self, button: QAbstractButton) -> None:
        super().__init__(button)
        self._name = ""
        self._color: str | None = None
        theme().changed.connect(self._apply)

    @property
    def _button(self) -> QAbstractButton:
        button = self.parent()
        assert isinstance(button, QAbstractButton)
        return button

    def show(self, name: str, color: str | None, size: int) -> None:
        self._name, self._color = name, color
        self._button.setIconSize(QSize(size, size))
        self._apply()

    def _apply(self) -> None:
        self._button.setIcon(icon(self._name, self._color))


class _IconCache(QObject):
    """The icons and pixmaps made so far; dies with the application, since pixmaps must not outlive it."""

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self.icons: dict[tuple[str, str, str], QIcon] = {}
        self.pixmaps: dict[tuple[str, str, int, float], QPixmap] = {}

    @classmethod
    def of_application(cls) -> _IconCache:
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        return app.findChild(cls, options=Qt.FindChildOption.FindDirectChildrenOnly) or cls(app)


def _hex(color: str) -> str:
    return color if color.startswith("#") else str(getattr(theme().palette, color))


def _rendered(name: str, tint: str, off: str) -> QIcon:
    made = QIcon()
    for mode, color in ((QIcon.Mode.Normal, tint), (QIcon.Mode.Disabled, off)):
        renderer = _renderer(name, color)
        for pixels in _PIXELS:
            made.addPixmap(_pixmap(renderer, pixels), mode)
    return made


def _renderer(name: str, color: str) -> QSvgRenderer:
    drawing = resource(f"{name}.svg" if "/" in name else f"icons/{name}.svg").read_text(encoding="utf-8")
    return QSvgRenderer(QByteArray(drawing.replace("currentColor", color).encode()))


def _pixmap(renderer: QSvgRenderer, pixels: int) -> QPixmap:
    made = QPixmap(pixels, pixels)
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    renderer.render(painter, QRectF(0, 0, pixels, pixels))
    painter.end()
    return made

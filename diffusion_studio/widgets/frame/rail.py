"""The rail at the left edge: one item per page, the theme at its foot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from PySide6.QtCore import QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QColor, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QMenu, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from diffusion_studio import __version__
from diffusion_studio.core.words import tr
from diffusion_studio.widgets.look.icons import set_icon
from diffusion_studio.widgets.look.theme import GRID, theme

_MODES = (
    ("light", tr("Light"), tr("Colours: light"), "sun"),
    ("dark", tr("Dark"), tr("Colours: dark"), "moon"),
    ("system", tr("Follow the system"), tr("Colours: follow the system"), "system"),
)  # key, in the menu, in the tooltip, icon
_FEWEST_DEVICES = 2  # "automatic" and the processor: there is nothing to choose
_STEPS = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}


class Rail(QWidget):
    """Chooses a page; the arrow keys move between its items once one has the focus."""

    selected = Signal(str)
    theme_requested = Signal(str)
    device_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setProperty("panel", True)
        self.setProperty("edge", "right")
        self.setAccessibleName(tr("Pages"))
        self._items: dict[str, _Item] = {}
        self._current = ""
        self._theme_button, self._device_button = _ThemeButton(self), _DeviceButton(self)
        self._device_button.requested.connect(self.device_requested)
        self._theme_button.requested.connect(self.theme_requested)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(GRID - 3, GRID + 4, GRID - 3, GRID + 4)
        self._layout.setSpacing(GRID // 2)
        self._layout.addStretch(1)
        for button in (self._device_button, self._theme_button):
            self._layout.addWidget(button, 0, Qt.AlignmentFlag.AlignHCenter)

    @property
    def current(self) -> str:
        """The key of the selected item, or an empty text."""
        return self._current

    def set_items(self, items: Sequence[tuple[str, str, str]]) -> None:
        """Show `items` (key, label, icon name) from top to bottom and select the first."""
        for old in self._items.values():
            self._layout.removeWidget(old)
            old.deleteLater()
        self._items = {key: _Item(key, text, name, self) for key, text, name in items}
        for place, item in enumerate(self._items.values()):
            item.chosen.connect(self._choose)
            item.stepped.connect(self._step)
            self._layout.insertWidget(place, item)
        self._order_tabs()
        self._current = ""
        if items:
            self.set_current(items[0][0])
        self.setFixedWidth(self._width())

    def set_devices(self, devices: Sequence[tuple[str, str]], current: str) -> None:
        """Offers what can be computed on, (name, text), where there is something to choose."""
        self._device_button.set_devices(devices, current)

    def set_progress(self, key: str, share: float | None) -> None:
        """Shows how far the work of a page is, in [0, 1]; None when it does none."""
        self._items[key].set_share(share)

    def show_device(self, name: str) -> None:
        """Marks what is computed on."""
        self._device_button.show_device(name)

    def set_current(self, key: str) -> None:
        """Show the item `key` as selected, without a signal. Raises KeyError for an unknown one."""
        self._items[key].setChecked(True)
        for other, item in self._items.items():
            item.set_chosen(other == key)
        self._current = key

    def button(self, key: str) -> QToolButton:
        """The button of the item `key`, for a tooltip or a shortcut."""
        return self._items[key]

    @property
    def device_button(self) -> QToolButton:
        """The button of the choice of devices."""
        return self._device_button

    def _order_tabs(self) -> None:
        order = [*self._items.values(), self._device_button, self._theme_button]
        for before, after in pairwise(order):
            QWidget.setTabOrder(before, after)

    def _choose(self, key: str) -> None:
        changed = key != self._current
        self.set_current(key)
        if changed:
            self.selected.emit(key)

    def _step(self, key: str, by: int) -> None:
        keys = list(self._items)
        wanted = keys[(keys.index(key) + by) % len(keys)]
        self._items[wanted].setFocus(Qt.FocusReason.TabFocusReason)
        self._choose(wanted)

    def _width(self) -> int:
        hints = (item.sizeHint().width() for item in self._items.values())
        return max(72, max(hints, default=0) + 2 * (GRID - 3))


class _Item(QToolButton):
    chosen = Signal(str)
    stepped = Signal(str, int)

    def __init__(self, key: str, text: str, icon_name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._key, self._icon_name = key, icon_name
        self._share: float | None = None
        self.setProperty("rail", True)
        self.setProperty("keepsArrows", True)
        self.setCheckable(True)
        self.setText(text)
        self.setAccessibleName(text)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(56)
        self.set_chosen(False)
        self.clicked.connect(lambda: self.chosen.emit(key))

    def set_chosen(self, chosen: bool) -> None:
        self.setChecked(chosen)
        set_icon(self, self._icon_name, "text" if chosen else "muted", 20)

    def set_share(self, share: float | None) -> None:
        share = None if share is None else round(share, 2)
        if share != self._share:
            self._share = share
            self.setAccessibleDescription(
                "" if share is None else tr("at work, {share:.0f} % done", share=100 * share)
            )
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._share is None:
            return
        colors = theme().palette
        track = QRectF(10, self.height() - 5, self.width() - 20, 3)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for color, share in ((colors.line, 1.0), (colors.accent, max(self._share, 0.04))):
            painter.setBrush(QColor(color))
            painter.drawRoundedRect(QRectF(track.topLeft(), QSizeF(track.width() * share, 3)), 1.5, 1.5)
        painter.end()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        by = _STEPS.get(Qt.Key(event.key()))
        if by is None:
            super().keyPressEvent(event)
        else:
            self.stepped.emit(self._key, by)


class _ChoiceButton(QToolButton):
    """Opens a menu in which one of several is marked."""

    requested = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("flat", True)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._menu = QMenu(self)
        self._group = QActionGroup(self)
        self._actions: dict[str, QAction] = {}
        self.setMenu(self._menu)

    def set_choices(self, choices: Iterable[tuple[str, str]]) -> None:
        """Offers these (key, text)."""
        self._menu.clear()
        self._actions = {key: self._action(key, text) for key, text in choices}

    def _action(self, key: str, text: str) -> QAction:
        action = self._menu.addAction(text)
        action.setCheckable(True)
        action.triggered.connect(lambda: self.requested.emit(key))
        return self._group.addAction(action)

    def mark(self, key: str, what: str) -> None:
        """Shows which one it is, in the menu and, after `what`, in words."""
        self._actions[key].setChecked(True)
        said = f"{what}: {self._actions[key].text()}"
        self.setToolTip(said)
        self.setAccessibleName(said)


class _DeviceButton(_ChoiceButton):
    """Opens the choice of what to compute on; not there where there is none."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        set_icon(self, "processor", "muted", 18)
        self.setAccessibleName(tr("Computes on"))
        self.requested.connect(self.show_device)
        self.hide()

    def set_devices(self, devices: Sequence[tuple[str, str]], current: str) -> None:
        self.set_choices(devices)
        self.show_device(current)
        self.setVisible(len(devices) > _FEWEST_DEVICES)

    def show_device(self, name: str) -> None:
        self.mark(name, tr("Computes on"))


class _ThemeButton(_ChoiceButton):
    """Opens the choice of light, dark or the system's scheme."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.set_choices((mode, text) for mode, text, _, _ in _MODES)
        self._menu.addSeparator()
        self._menu.addAction(f"Diffusion Studio {__version__}").setEnabled(False)
        theme().changed.connect(self._show_mode)
        self._show_mode()

    def _show_mode(self) -> None:
        mode, _, said, icon_name = next(entry for entry in _MODES if entry[0] == theme().mode)
        set_icon(self, icon_name, "muted", 18)
        self._actions[mode].setChecked(True)
        self.setToolTip(said)
        self.setAccessibleName(said)

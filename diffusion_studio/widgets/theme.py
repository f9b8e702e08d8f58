"""Colours, fonts and the one style sheet; follows the system's light or dark scheme live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from string import Template
from types import MappingProxyType
from typing import Literal

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontInfo, QPalette
from PySide6.QtWidgets import QApplication, QLabel, QStyle, QWidget

from diffusion_studio.widgets.resources import resource

Mode = Literal["light", "dark", "system"]
Role = Literal["title", "section", "muted", "small", "strong"]

GRID = 8  # every distance is a multiple or a half of it
RADIUS = 6
MODES: tuple[Mode, ...] = ("light", "dark", "system")

# Okabe and Ito's colours, safe for colour-blind eyes; a quantity keeps its own everywhere.
OKABE_ITO: Mapping[str, str] = MappingProxyType(
    {
        "x0": "#009E73",
        "data": "#009E73",
        "eps": "#E69F00",
        "noise": "#E69F00",
        "xt": "#8A93A0",
        "score": "#2F8FD0",
        "weight": "#D55E00",
        "guidance": "#B45FA8",
        "sky": "#56B4E9",
    }
)


@dataclass(frozen=True)
class Palette:
    """Colours as #rrggbb. `quantity` is for lines and fills; `ink` gives the same hue readable as text."""

    name: Literal["light", "dark"]
    background: str
    panel: str
    card: str
    line: str
    fill: str  # buttons, inputs, chips
    hover: str
    text: str
    muted: str
    faint: str  # disabled text
    accent: str
    on_accent: str
    danger: str
    warning: str
    quantity: Mapping[str, str] = field(default_factory=lambda: OKABE_ITO, hash=False)

    @property
    def dark(self) -> bool:
        return self.name == "dark"

    def ink(self, quantity: str) -> str:
        """The colour of `quantity` as text: its hue, at a contrast of 4.5 on every surface (WCAG AA)."""
        return readable(self.quantity[quantity], (self.background, self.panel, self.card), self.dark)


DARK = Palette(
    name="dark",
    background="#15181d",
    panel="#1b1f26",
    card="#20252d",
    line="#2b313b",
    fill="#2a303a",
    hover="#343b47",
    text="#e6e9ee",
    muted="#98a1ae",
    faint="#5c6572",
    accent="#4aa3e0",
    on_accent="#0b1218",
    danger="#ef6f6c",
    warning="#e6a93a",
)

LIGHT = Palette(
    name="light",
    background="#f4f5f7",
    panel="#fbfbfc",
    card="#ffffff",
    line="#dfe3e8",
    fill="#eaedf1",
    hover="#dfe4ea",
    text="#1d2128",
    muted="#5d6573",
    faint="#a3abb6",
    accent="#1f78b4",
    on_accent="#ffffff",
    danger="#b3261e",
    warning="#8a5a00",
)


def luminance(color: str) -> float:
    """Relative luminance of #rrggbb in [0, 1] (WCAG 2.2)."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    """Contrast ratio of two colours in [1, 21] (WCAG 2.2)."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@cache
def readable(color: str, surfaces: tuple[str, ...], lighten: bool, ratio: float = 4.5) -> str:
    """`color` moved towards white or black until it has `ratio` on all `surfaces`."""
    best = QColor(color)
    while min(contrast(best.name(), surface) for surface in surfaces) < ratio:
        h, s, lightness, _ = best.getHsl()
        step = 4 if lighten else -4
        if not 0 <= lightness + step <= 255:
            break
        best = QColor.fromHsl(h, s, lightness + step)
    return best.name()


def mix(a: str, b: str, share: float) -> str:
    """The colour that is `share` of `b` over `a`."""
    pairs = ((int(a[i : i + 2], 16), int(b[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in pairs)


def tabular(font: QFont) -> QFont:
    """A copy of `font` whose figures all have one width, so that running numbers do not jump."""
    copy = QFont(font)
    copy.setFeature(QFont.Tag("tnum"), 1)
    return copy


def section_font(font: QFont) -> QFont:
    """The font of a section title: small spaced capitals."""
    copy = QFont(font)
    copy.setPixelSize(max(10, round(QFontInfo(font).pixelSize() * 0.86)))
    copy.setWeight(QFont.Weight.DemiBold)
    copy.setCapitalization(QFont.Capitalization.AllUppercase)
    copy.setLetterSpacing(QFont.SpacingType.AbsoluteSpacing, 0.6)
    return copy


def label(text: str = "", role: Role | None = None, parent: QWidget | None = None) -> QLabel:
    """A label in one of the theme's roles: title, section, muted, small, strong."""
    made = QLabel(text, parent)
    if role is not None:
        made.setProperty("role", role)
    if role == "section":
        made.setFont(section_font(made.font()))
    return made


class Theme(QObject):
    """The look of the application: one per QApplication, found with `theme()`."""

    changed = Signal()

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self.setObjectName("theme")
        self._app = app
        self._mode: Mode = "system"
        self._palette: Palette | None = None
        self._reduced_motion: bool | None = None
        app.setStyle("Fusion")
        app.styleHints().colorSchemeChanged.connect(self._on_scheme_changed)
        self._apply()

    @property
    def mode(self) -> Mode:
        return self._mode

    @property
    def palette(self) -> Palette:
        return self._palette or DARK

    @property
    def reduced_motion(self) -> bool:
        """Whether animations should be left out: as set here, else as the system says."""
        if self._reduced_motion is not None:
            return self._reduced_motion
        return self._app.style().styleHint(QStyle.StyleHint.SH_Widget_Animation_Duration) == 0

    def set_mode(self, mode: Mode) -> None:
        if mode not in MODES:
            raise ValueError(f"unknown theme mode {mode!r}")
        if mode == self._mode:
            return
        self._mode = mode
        hints = self._app.styleHints()
        if mode == "system":
            hints.unsetColorScheme()
        else:
            hints.setColorScheme(Qt.ColorScheme.Dark if mode == "dark" else Qt.ColorScheme.Light)
        self._apply()

    def set_reduced_motion(self, reduced: bool | None) -> None:
        """Leave animations out or in; None asks the system."""
        self._reduced_motion = reduced

    def _on_scheme_changed(self) -> None:
        if self._mode == "system":
            self._apply()

    def _apply(self) -> None:
        wanted = self._wanted()
        if wanted is self._palette:
            return
        self._palette = wanted
        self._app.setPalette(qpalette(wanted))
        self._app.setStyleSheet(style_sheet(wanted, QFontInfo(self._app.font()).pixelSize()))
        self.changed.emit()

    def _wanted(self) -> Palette:
        if self._mode != "system":
            return DARK if self._mode == "dark" else LIGHT
        light = self._app.styleHints().colorScheme() == Qt.ColorScheme.Light
        return LIGHT if light else DARK  # dark where the system does not say: the pictures come first


def theme() -> Theme:
    """The theme of the running application; made and applied at the first call."""
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        raise RuntimeError("a QApplication is needed before its theme")
    found = app.findChild(Theme, "theme", Qt.FindChildOption.FindDirectChildrenOnly)
    return found if isinstance(found, Theme) else Theme(app)


def qpalette(p: Palette) -> QPalette:
    """`p` as Qt's own palette, for what the style sheet does not reach."""
    roles = QPalette.ColorRole
    colors = {
        roles.Window: p.background,
        roles.WindowText: p.text,
        roles.Base: p.card,
        roles.AlternateBase: p.panel,
        roles.Text: p.text,
        roles.PlaceholderText: p.muted,
        roles.Button: p.fill,
        roles.ButtonText: p.text,
        roles.BrightText: p.danger,
        roles.ToolTipBase: p.card,
        roles.ToolTipText: p.text,
        roles.Highlight: p.accent,
        roles.HighlightedText: p.on_accent,
        roles.Accent: p.accent,
        roles.Link: p.accent,
        roles.LinkVisited: p.accent,
        roles.Mid: p.line,
        roles.Light: p.hover,
        roles.Dark: p.line,
    }
    made = QPalette()
    for role, color in colors.items():
        made.setColor(role, QColor(color))
    for role in (roles.WindowText, roles.Text, roles.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, role, QColor(p.faint))
    return made


def style_sheet(p: Palette, font_px: int) -> str:
    """The whole application's style sheet in the colours of `p`."""
    return Template(_STYLE).substitute(
        {key: value for key, value in vars(p).items() if isinstance(value, str)},
        accent_hover=mix(p.accent, "#ffffff" if p.dark else "#000000", 0.14),
        accent_wash=mix(p.card, p.accent, 0.22),
        chosen=p.hover if p.dark else p.card,
        track=mix(p.card, p.text, 0.14),
        radius=f"{RADIUS}px",
        small=f"{max(10, round(font_px * 0.9))}px",
        title=f"{round(font_px * 1.15)}px",
        chevron=resource(f"icons/style/chevron-{p.name}.svg").as_posix(),
        tick=resource(f"icons/style/tick-{p.name}.svg").as_posix(),
    )


_STYLE = """
QWidget { color: $text; }
QMainWindow, QDialog { background: $background; }
QLabel { background: transparent; }
QLabel:disabled, QCheckBox:disabled, QRadioButton:disabled { color: $faint; }
QLabel[role="title"] { font-size: $title; font-weight: 600; }
QLabel[role="strong"] { font-weight: 600; }
QLabel[role="section"], QLabel[role="muted"] { color: $muted; }
QLabel[role="small"] { color: $muted; font-size: $small; }
*[panel="true"] { background: $panel; }
*[card="true"] { background: $card; border: 1px solid $line; border-radius: 8px; }

QPushButton, QToolButton {
  background: $fill; color: $text; border: 1px solid transparent; border-radius: $radius; padding: 6px 12px;
}
QToolButton { padding: 5px; }
QPushButton:hover, QToolButton:hover { background: $hover; }
QPushButton:pressed, QToolButton:pressed { background: $line; }
QPushButton:focus, QToolButton:focus { border-color: $accent; }
QPushButton:disabled, QToolButton:disabled { color: $faint; background: $panel; }
QPushButton:checked, QToolButton:checked { background: $accent_wash; }
QPushButton[primary="true"], QToolButton[primary="true"] {
  background: $accent; color: $on_accent; font-weight: 600;
}
QPushButton[primary="true"]:hover, QToolButton[primary="true"]:hover { background: $accent_hover; }
QPushButton[primary="true"]:focus, QToolButton[primary="true"]:focus { border-color: $text; }
QPushButton[primary="true"]:disabled, QToolButton[primary="true"]:disabled {
  background: $fill; color: $faint;
}
QPushButton[flat="true"], QToolButton[flat="true"] { background: transparent; }
QPushButton[flat="true"]:hover, QToolButton[flat="true"]:hover { background: $fill; }
QToolButton::menu-indicator, QPushButton::menu-indicator { image: none; width: 0; }

QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox, QComboBox {
  background: $fill; color: $text; border: 1px solid transparent; border-radius: $radius; padding: 4px 8px;
  selection-background-color: $accent; selection-color: $on_accent;
}
QLineEdit:hover, QAbstractSpinBox:hover, QComboBox:hover { background: $hover; }
QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus, QAbstractSpinBox:focus, QComboBox:focus {
  border-color: $accent;
}
QLineEdit:disabled, QAbstractSpinBox:disabled, QComboBox:disabled { color: $faint; background: $panel; }
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button { width: 0; border: 0; }
QComboBox { padding-right: 24px; }
QComboBox::drop-down { border: 0; width: 24px; }
QComboBox::down-arrow { image: url("$chevron"); width: 12px; height: 12px; }
QComboBox QAbstractItemView { background: $card; border: 1px solid $line; padding: 4px; outline: 0; }

QCheckBox, QRadioButton { spacing: 8px; padding: 2px; border: 1px solid transparent; border-radius: 4px; }
QCheckBox:focus, QRadioButton:focus { border-color: $accent; }
QCheckBox::indicator, QRadioButton::indicator {
  width: 14px; height: 14px; background: $fill; border: 1px solid $muted; border-radius: 4px;
}
QRadioButton::indicator { border-radius: 8px; }
QCheckBox::indicator:checked { background: $accent; border-color: $accent; image: url("$tick"); }
QRadioButton::indicator:checked { background: $accent; border: 4px solid $fill; width: 8px; height: 8px; }
QCheckBox::indicator:disabled, QRadioButton::indicator:disabled { border-color: $line; background: $panel; }

QSlider { background: transparent; min-height: 20px; }
QSlider::groove:horizontal { height: 4px; background: $track; border-radius: 2px; }
QSlider::sub-page:horizontal { background: $accent; border-radius: 2px; }
QSlider::handle:horizontal {
  width: 12px; height: 12px; margin: -5px 0; border-radius: 7px; background: $accent; border: 1px solid $card;
}
QSlider::handle:horizontal:hover { background: $accent_hover; }
QSlider::handle:horizontal:focus { border-color: $text; }
QSlider::handle:horizontal:disabled { background: $faint; }
QSlider::sub-page:horizontal:disabled { background: $faint; }

QProgressBar {
  background: $track; color: transparent; border: 0; border-radius: 2px; max-height: 4px; min-height: 4px;
}
QProgressBar::chunk { background: $accent; border-radius: 2px; }

QScrollArea, QAbstractScrollArea { background: transparent; border: 0; }
QScrollBar { background: transparent; border: 0; margin: 0; }
QScrollBar:vertical { width: 10px; }
QScrollBar:horizontal { height: 10px; }
QScrollBar::handle { background: $track; border-radius: 3px; margin: 2px; }
QScrollBar::handle:vertical { min-height: 24px; }
QScrollBar::handle:horizontal { min-width: 24px; }
QScrollBar::handle:hover { background: $muted; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }

QToolTip { background: $card; color: $text; border: 1px solid $line; padding: 6px 8px; }
QMenu { background: $card; border: 1px solid $line; border-radius: $radius; padding: 4px; }
QMenu::item { padding: 6px 24px 6px 12px; border-radius: 4px; }
QMenu::item:selected { background: $accent_wash; }
QMenu::item:disabled { color: $faint; }
QMenu::separator { height: 1px; background: $line; margin: 4px 8px; }

QListView, QTreeView, QTableView {
  background: $card; border: 0; outline: 0; gridline-color: $line; selection-background-color: $accent_wash;
  selection-color: $text; alternate-background-color: $panel;
}
QListView::item, QTreeView::item { padding: 4px 8px; border-radius: 4px; }
QTableView::item { padding: 4px 8px; }
QListView:focus, QTreeView:focus, QTableView:focus { border: 1px solid $accent; }
QHeaderView, QTableCornerButton::section { background: transparent; }
QHeaderView::section {
  background: $card; color: $muted; border: 0; border-bottom: 1px solid $line; padding: 6px 8px;
}
QSplitter::handle { background: transparent; }
QSplitter::handle:hover { background: $line; }
QSplitter::handle:horizontal { width: 8px; }
QSplitter::handle:vertical { height: 8px; }
QTabWidget::pane { border: 0; }
QTabBar::tab { color: $muted; padding: 6px 12px; border-bottom: 2px solid transparent; }
QTabBar::tab:selected { color: $text; border-bottom-color: $accent; }
QTabBar::tab:focus { color: $accent; }
QStatusBar { background: $panel; color: $muted; }
"""

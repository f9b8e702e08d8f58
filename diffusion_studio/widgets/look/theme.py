"""Colours, fonts and the one style sheet; follows the system's light or dark scheme live."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from string import Template
from types import MappingProxyType
from typing import Literal

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontInfo, QFontMetrics, QPalette
from PySide6.QtWidgets import QApplication, QLabel, QStyle, QWidget

from diffusion_studio.widgets.look.resources import resource

Mode = Literal["light", "dark", "system"]
Role = Literal["title", "section", "muted", "small", "strong"]

GRID = 8  # every distance is a multiple or a half of it
ANY_SIZE = 16_777_215  # pixels: Qt's own bound of a size
RADIUS = 6
TEXT_SIZES = range(80, 201)  # percent of the system's
EFFECTS = (
    Qt.UIEffect.UI_AnimateMenu, Qt.UIEffect.UI_FadeMenu, Qt.UIEffect.UI_AnimateCombo,
    Qt.UIEffect.UI_AnimateTooltip, Qt.UIEffect.UI_FadeTooltip,
)  # fmt: skip
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

    @property
    def accent_ink(self) -> str:
        """The accent as text, at the same contrast on fields, washes and what the pointer is over too."""
        washes = (self.wash(tint) for tint in (self.accent, self.warning, self.danger))
        grounds = (self.background, self.panel, self.card, self.fill, self.hover, *washes)
        return readable(self.accent, grounds, self.dark)

    def wash(self, tint: str) -> str:
        """The ground of a message of that tint."""
        return mix(self.card, tint, 0.14)

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
    muted="#9ca5b2",
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
        lightness = best.lightness()
        step = 4 if lighten else -4
        if not 0 <= lightness + step <= 255:
            break
        best = QColor.fromHsl(best.hslHue(), best.hslSaturation(), lightness + step)
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
    """A label in one of the theme's roles: title, section, muted, small, strong.

    Its text is shown as it is: names of files and classes may look like HTML.
    """
    made = _Section(parent) if role == "section" else QLabel(parent)
    made.setTextFormat(Qt.TextFormat.PlainText)
    if role is not None:
        made.setProperty("role", role)
    made.setText(text)
    return made


class _Section(QLabel):
    """A title in capitals, with room for their accents, whatever it says later."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFont(section_font(self.font()))

    def setText(self, text: str) -> None:
        super().setText(text)
        self.setContentsMargins(0, _over(self.fontMetrics(), text.upper()), 0, 0)


def _over(metrics: QFontMetrics, text: str) -> int:
    """How far accents of capitals, as in Ä and Ü, rise over the line that the font asks for."""
    return max(0, -metrics.boundingRect(text).top() - metrics.ascent())


def rich_label(text: str = "", role: Role | None = None, parent: QWidget | None = None) -> QLabel:
    """The same for text with marks of HTML in it, like lowered indices."""
    made = label("", role, parent)
    made.setTextFormat(Qt.TextFormat.RichText)
    made.setText(text)
    return made


def subscripted(text: str) -> str:
    """Plain text as rich text, with indices like x_t and x_{t−1} lowered."""
    return re.sub(r"_(?:\{([^}]*)\}|([a-z]+\b|\w))", r"<sub>\1\2</sub>", html.escape(text, quote=False))


def subscripts(number: int) -> str:
    """The digits of a number as lowered ones: "₁₂"."""
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


_JOINED = "\u2060"  # no line ends there
_PLACES = r"eq\.|algorithm|figure|lemma|proposition|table|theorem"  # in a source
_UNITS = r"%|(?:s|min|h|[kMG]B)\b"


def unbroken(text: str) -> str:
    """The text with what belongs together on one line, as t = 100, 5 %, 3 min, p(y|x) and Luo eq. 7.

    No line begins with a dot.
    """
    text = re.sub(rf"\b({_PLACES}) (?=[\dA-Z])", "\\1\u00a0", text)
    text = re.sub(rf"(?<![,;]) (?=({_PLACES})\u00a0)", "\u00a0", text)
    text = re.sub(
        rf"(?<=\d) (?={_UNITS})|(?<=∇) |(?<=\)) (?=p\()|(?<=\bln) (?=p)|(?<=\blog) (?=p)", "\u00a0", text
    )
    text = re.sub(r"(?<=%) (\w+) (?=E‖)", "\u00a0\\1\u00a0", text)
    text = re.sub(r"\([^()]{,14}\)", lambda found: found[0].replace(" ", "\u00a0"), text)  # N(0, 1)
    text = re.sub(r"(?<=\w\|)(?=\w)|(?<=\+)(?=\+)|(?<=\b\w-)(?=\w)", _JOINED, text)  # p(x|z), k-diffusion
    return re.sub(r" ([=−÷|‖]) ", "\u00a0\\1\u00a0", text).replace(" · ", "\u00a0· ")


def tip(text: str) -> str:
    """A text as a tooltip that shows it as it is."""
    return f"<qt>{html.escape(text)}</qt>" if "<" in text else text


class Theme(QObject):
    """The look of the application: one per QApplication, found with `theme()`."""

    changed = Signal()
    motion_changed = Signal(bool)  # whether it is to be less from now on

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self.setObjectName("theme")
        self._app = app
        self._mode: Mode = "system"
        self._palette: Palette | None = None
        self._reduced_motion: bool | None = None
        self._effects = [effect for effect in EFFECTS if app.isEffectEnabled(effect)]  # as the system has it
        self._font, self._text_size = QFont(app.font()), 100  # of the system, and percent of it
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
        self.changed.emit()

    def set_reduced_motion(self, reduced: bool | None) -> None:
        """Leave animations out or in, Qt's own of menus and tooltips too; None asks the system."""
        before, self._reduced_motion = self.reduced_motion, reduced
        for effect in self._effects:
            self._app.setEffectEnabled(effect, not self.reduced_motion)
        if self.reduced_motion != before:
            self.motion_changed.emit(self.reduced_motion)

    def set_text_size(self, percent: int) -> None:
        """All text as large as this, against the system's."""
        if percent == self._text_size:
            return
        self._text_size = percent
        font = QFont(self._font)
        font.setPointSizeF(QFontInfo(self._font).pointSizeF() * percent / 100)
        self._app.setFont(font)
        self._palette = None  # the style sheet names sizes
        self._apply()
        self.changed.emit()

    def _on_scheme_changed(self) -> None:
        if self._mode == "system" and self._apply():
            self.changed.emit()

    def _apply(self) -> bool:
        """Put on the palette that is wanted; whether it differs from the last one."""
        wanted = self._wanted()
        if wanted is self._palette:
            return False
        self._palette = wanted
        self._app.setPalette(qpalette(wanted))
        self._app.setStyleSheet(style_sheet(wanted, QFontInfo(self._app.font()).pixelSize()))
        return True

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
        roles.Link: p.accent_ink,
        roles.LinkVisited: p.accent_ink,
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
    template = resource("style.qss").read_text(encoding="utf-8")
    return Template(template).substitute(
        {key: value for key, value in vars(p).items() if isinstance(value, str)},
        accent_hover=mix(p.accent, "#ffffff" if p.dark else "#000000", 0.14),
        accent_wash=mix(p.card, p.accent, 0.22),
        chip=mix(p.panel, p.fill, 0.5),
        track=mix(p.card, p.text, 0.14),
        accent_ink=p.accent_ink,
        info_wash=p.wash(p.accent),
        warning_wash=p.wash(p.warning),
        error_wash=p.wash(p.danger),
        radius=f"{RADIUS}px",
        small=f"{max(10, round(font_px * 0.9))}px",
        title=f"{round(font_px * 1.15)}px",
        chevron=resource(f"icons/style/chevron-{p.name}.svg").as_posix(),
        tick=resource(f"icons/style/tick-{p.name}.svg").as_posix(),
    )

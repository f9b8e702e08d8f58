"""Every text of the style sheet, and every text that is painted, on each ground that it may stand on."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QTextEdit

from diffusion_studio.widgets.look.theme import (
    DARK,
    LIGHT,
    OKABE_ITO,
    Palette,
    contrast,
    mix,
    style_sheet,
    theme,
)  # fmt: skip

AA = 4.5  # WCAG 2.2, of text
INACTIVE = ":disabled"  # to which it does not apply
DRAWN = (
    "::indicator", "::handle", "::groove", "::chunk", "::sub-page", "::add-page", "QProgressBar",
)  # fmt: skip
Rules = dict[str, dict[str, str]]

both = pytest.mark.parametrize("p", [DARK, LIGHT], ids=["dark", "light"])


def rules_of(sheet: str) -> Rules:
    """The colour and the ground that each selector of a style sheet names."""
    found: Rules = {}
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", re.sub(r"/\*.*?\*/", "", sheet, flags=re.S)):
        named = dict(re.findall(r"(?<![\w-])(color|background): (#\w{6}|transparent)", body))
        for selector in selectors.split(","):
            found.setdefault(selector.strip(), {}).update(named)
    return found


def behind(selector: str) -> Iterator[str]:
    """The selector, then what it is a state or a kind of."""
    yield selector
    yield (still := re.sub(r"(?<!:):[\w-]+", "", selector))
    yield re.sub(r"\[[^]]*\]", "", still).split()[-1]
    yield "QWidget"


def looked_up(rules: Rules, selector: str, what: str, otherwise: str) -> str:
    found = (rules.get(name, {}).get(what) for name in behind(selector))
    return next((color for color in found if color is not None), otherwise)


def surfaces(p: Palette) -> tuple[str, ...]:
    return p.background, p.panel, p.card


def washes(p: Palette) -> tuple[str, ...]:
    """Of what is told: an information, a warning, an error."""
    return tuple(p.wash(tint) for tint in (p.accent, p.warning, p.danger))


@both
def test_that_every_text_of_the_style_sheet_is_readable_on_its_ground(p):
    rules = rules_of(style_sheet(p, 13))
    seen = 0
    for selector in rules:
        if INACTIVE in selector or any(part in selector for part in DRAWN):
            continue
        ink = looked_up(rules, selector, "color", p.text)
        ground = looked_up(rules, selector, "background", "transparent")
        through = washes(p) if "banner" in selector else surfaces(p)
        for place in through if ground == "transparent" else (ground,):
            assert contrast(ink, place) >= AA, f"{selector}: {ink} on {place}"
            seen += 1
    assert seen > 100


@both
def test_that_every_text_that_is_painted_is_readable_on_each_of_its_grounds(p):
    inks = {
        p.text: (*surfaces(p), p.fill, p.hover, p.line, mix(p.card, p.accent, 0.22), *washes(p)),
        p.muted: (*surfaces(p), p.fill, p.hover, *washes(p)),  # units and hints in a field under the pointer
        p.accent_ink: (*surfaces(p), p.fill, p.hover, *washes(p)),
        p.danger: (*surfaces(p), p.fill),
        p.warning: (*surfaces(p), p.fill),
        p.on_accent: (p.accent,),
    }
    inks |= {p.ink(quantity): surfaces(p) for quantity in OKABE_ITO}
    assert not [(ink, on) for ink, grounds in inks.items() for on in grounds if contrast(ink, on) < AA]


@pytest.mark.parametrize("kind", [QLineEdit, QPlainTextEdit, QTextEdit])
@pytest.mark.parametrize("mode", ["dark", "light"])
def test_that_the_words_in_an_empty_field_are_muted_and_no_paler(qtbot, mode, kind):
    theme().set_mode(mode)
    field = kind()
    qtbot.addWidget(field)
    field.setPlaceholderText("Find anything")
    field.ensurePolished()
    assert field.palette().placeholderText().color().name() == theme().palette.muted
    theme().set_mode("system")

"""What a person reads, in the language that the process speaks.

A sentence stands in the code in English, in `tr`, `trc` or `plural`, and is looked up in the catalogues of
the language (GNU gettext's). One process speaks one language for as long as it runs; it is said before any
module with sentences is imported (`speak`), so that constants are in it too. Nothing that is written to a
file for the program itself passes through here.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from gettext import NullTranslations
from numbers import Real
from typing import Any


@dataclass(frozen=True)
class Language:
    """The words of a language, and how it writes a number.

    Attributes:
        code: its code in ISO 639, "de".
        words: its catalogues.
        marks: the character for the decimal point, and the one between groups of three digits.
        percent: what stands behind a number of hundredths.
        meant: the English of what was said so far without values.
    """

    code: str = "en"
    words: NullTranslations = field(default_factory=NullTranslations)
    marks: tuple[str, str] = (".", ",")
    percent: str = "%"
    meant: dict[str, str] = field(default_factory=dict, compare=False, repr=False)


_spoken = [Language()]


def speak(language: Language) -> None:
    """From here on `tr` answers in this language."""
    _spoken[0] = language


def spoken() -> Language:
    """The language of this process: English unless another was asked for."""
    return _spoken[0]


def tr(text: str, /, **values: Any) -> str:
    """The sentence in the language that is spoken, its `{fields}` filled with the values.

    A text without values is taken as it is: its braces are braces.
    """
    return _said(_spoken[0].words.gettext(text) if text else text, text, values)


def trc(context: str, text: str, /, **values: Any) -> str:
    """As `tr`, for a word that other languages translate by what it means here: `trc("verb", "Run")`."""
    return _said(_spoken[0].words.pgettext(context, text), text, values)


def plural(one: str, many: str, n: int, /, **values: Any) -> str:
    """The sentence for `n` things, by the rule of the language; `{n}` is `n`, or what is given for it."""
    return _filled(_spoken[0].words.ngettext(one, many, n), {"n": n, **values})


def english(said: str) -> str:
    """What stands in the code for what `tr` or `trc` gave without values: for files that others read."""
    return _spoken[0].meant.get(said, said)


def number(value: Real | float, spec: str = "") -> str:
    """`format(value, spec)` with the decimal mark of the language, for a number on its own."""
    return _marked(format(value, spec))


def between() -> str:
    """What stands between numbers in a row: a semicolon where a comma is their decimal mark."""
    return "; " if _spoken[0].marks[0] == "," else ", "


def _said(said: str, text: str, values: dict[str, Any]) -> str:
    if not values:
        _spoken[0].meant.setdefault(said, text)
    return _filled(said, values)


def _filled(text: str, values: dict[str, Any]) -> str:
    if not values:
        return text
    return text.format(**values) if _spoken[0].marks == (".", ",") else _FORMATTER.vformat(text, (), values)


def _marked(text: str) -> str:
    """A formatted number with the marks of the language."""
    point, group = _spoken[0].marks
    return text.translate({ord("."): point, ord(","): group, ord("%"): _spoken[0].percent})


class _Formatter(string.Formatter):
    """Fills a text, its numbers with the marks of the language."""

    def format_field(self, value: Any, format_spec: str) -> str:
        text: str = super().format_field(value, format_spec)
        return _marked(text) if isinstance(value, Real) else text


_FORMATTER = _Formatter()

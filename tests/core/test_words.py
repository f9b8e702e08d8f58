from __future__ import annotations

from collections.abc import Iterator
from gettext import NullTranslations

import numpy as np
import pytest

from diffusion_studio.core.words import Language, english, number, plural, speak, spoken, tr, trc


class Backwards(NullTranslations):
    """Every sentence in capitals, its fields as they are."""

    def gettext(self, message: str) -> str:
        return f"<{message}>"

    def pgettext(self, context: str, message: str) -> str:
        return f"<{context}: {message}>"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"<{msgid1 if n == 1 else msgid2}>"


@pytest.fixture
def foreign() -> Iterator[None]:
    before = spoken()
    speak(Language("xx", Backwards(), (",", "."), " %"))
    yield
    speak(before)


def test_that_english_is_what_stands_in_the_code() -> None:
    assert tr("{n:,} steps, {loss:.2f}", n=1234, loss=0.5) == "1,234 steps, 0.50"
    assert tr(r"x^{2}") == r"x^{2}" and tr("") == ""
    assert trc("verb", "Run") == "Run"
    assert [plural("{n} run", "{n} runs", n) for n in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
    assert number(0.25, ".2f") == "0.25"


def test_that_a_language_brings_its_words_and_its_decimal_mark(foreign: None) -> None:
    assert tr("{n:,} steps, {loss:.2f} of {name}", n=1234, loss=np.float32(0.5), name="a.b") == (
        "<1.234 steps, 0,50 of a.b>"
    )
    assert tr("") == "" and trc("verb", "Run") == "<verb: Run>"
    assert [plural("{n} run", "{n} runs", n) for n in (1, 2)] == ["<1 run>", "<2 runs>"]
    assert number(1234.5, ",.1f") == "1.234,5" and number(0.125, ".1%") == "12,5 %"
    assert tr("{n:.{digits}f} of {seed!r}", n=0.5, digits=3, seed="x.y") == "<0,500 of 'x.y'>"


def test_that_what_was_said_is_known_in_english(foreign: None) -> None:
    assert [english(tr("cosine")), english(trc("noise", "levels")), english(tr(""))] == [
        "cosine",
        "levels",
        "",
    ]
    assert english("never said") == "never said"

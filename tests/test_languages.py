"""The catalogues are those of the code, and what they say has the fields of what is meant."""

from __future__ import annotations

import ast
import io
import re
import string
from collections.abc import Iterable
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

import languages
from diffusion_studio.widgets.look.language import GROUP

CATALOGUES = [(code, layer) for code in languages.CODES for layer in (*languages.LAYERS, languages.REST)]
LOOKED_UP = {"tr": 1, "trc": 2, "plural": 2}
"""How many of the first arguments of a function are looked up."""


@pytest.mark.parametrize(("code", "layer"), CATALOGUES)
def test_that_a_catalogue_holds_the_sentences_of_the_code(code: str, layer: str) -> None:
    path = languages.LANGUAGES / code / f"{layer}.po"
    catalog = languages.brought_up(code, layer)
    assert path.read_bytes() == languages.po(catalog), "run: python packaging/languages.py"
    with path.with_suffix(".mo").open("rb") as file:
        read = _said(read_mo(file))
    written = read_po(io.BytesIO(path.read_bytes()), locale=code)
    assert read == _said(m for m in written if m not in [*languages.missing(written)])


def _said(messages: Iterable[Message]) -> dict[tuple[object, ...], object]:
    """The translations by what they translate; one and many stand together as a tuple."""
    return {(_together(m.id), m.context): _together(m.string) for m in messages if m.id}


def _together(words: object) -> object:
    return tuple(words) if isinstance(words, list | tuple) else words


@pytest.mark.parametrize(("code", "layer"), CATALOGUES)
def test_that_a_translation_has_the_fields_of_its_sentence(code: str, layer: str) -> None:
    catalog = languages.known(code, layer)
    untranslated = [*languages.missing(catalog)]
    for message in catalog:
        if not message.id or message in untranslated:
            continue
        sentences = message.id if isinstance(message.id, tuple | list) else (message.id,)
        words = message.string if isinstance(message.string, tuple | list) else (message.string,)
        for said, meant in zip(words, sentences, strict=True):
            assert _fields(said) <= _fields(sentences[-1]), message.id
            assert _fields(meant) <= _fields(said) | {"n"}, message.id


@pytest.mark.parametrize("code", languages.CODES)
def test_that_all_catalogues_say_a_sentence_in_the_same_words(code: str) -> None:
    """They are looked through one after the other, by the sentence for a single thing alone."""
    said: dict[tuple[object, object], object] = {}
    for layer in (*languages.LAYERS, languages.REST):
        for message in languages.known(code, layer):
            one = message.id if isinstance(message.id, str) else message.id[0]
            words = _together(message.id), _together(message.string)
            assert not one or said.setdefault((one, message.context), words) == words, layer


@pytest.mark.parametrize("code", languages.CODES)
def test_that_a_translation_groups_digits_as_the_numbers_of_the_program_do(code: str) -> None:
    """Nowhere 1.797 or 1,797 for what is written 1 797 beside it."""
    grouped = re.compile(r"(?<![\d,.])(\d{1,3}(?:,\d{3})+)(?![\d,.]\d)")
    said = [m for layer in (*languages.LAYERS, languages.REST) for m in languages.known(code, layer) if m.id]
    wrong = [
        (number, str(message.string))
        for message in said
        for number in grouped.findall(str(message.id))
        if number.replace(",", GROUP) not in "".join(_each(message.string))
    ]
    assert wrong == []


def _each(words: object) -> tuple[str, ...]:
    return tuple(map(str, words)) if isinstance(words, list | tuple) else (str(words),)


def _fields(text: str) -> set[str]:
    """What is filled in; nothing where the braces are the text's own, as a formula's are."""
    if "\\" in text:
        return set()
    try:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}
    except ValueError:
        return set()


def test_that_only_sentences_themselves_are_looked_up() -> None:
    """A name in place of a sentence would never be found, nor missed."""
    assert [line for path in sorted(languages.PACKAGE.rglob("*.py")) for line in _unfindable(path)] == []


def test_that_no_sentence_stands_inside_an_f_string() -> None:
    """There it would not be found before Python 3.12."""
    assert [line for path in sorted(languages.PACKAGE.rglob("*.py")) for line in _inside(path)] == []


def _inside(path: Path) -> list[str]:
    written = [
        n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.JoinedStr)
    ]
    calls = [n for each in written for n in ast.walk(each) if isinstance(n, ast.Call)]
    return [f"{path.name}:{call.lineno}" for call in calls if getattr(call.func, "id", "") in LOOKED_UP]


def _unfindable(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    return [
        f"{path.name}:{call.lineno}"
        for call in calls
        for given in call.args[: LOOKED_UP.get(getattr(call.func, "id", ""), 0)]
        if not (isinstance(given, ast.Constant) and isinstance(given.value, str))
    ]


def test_that_what_is_one_is_many_in_one_way_only() -> None:
    """A catalogue knows the forms of a number by the first of them alone."""
    many: dict[str, set[str]] = {}
    for path in languages.PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if getattr(call.func, "id", "") == "plural":
                one, other = map(ast.literal_eval, call.args[:2])
                many.setdefault(one, set()).add(other)
    assert [forms for forms in many.values() if len(forms) > 1] == []


def test_that_hundredths_stand_before_a_sign_of_their_own() -> None:
    """A number that is formatted with % would be written otherwise than all the others: 98.3 %."""
    formatted = [
        f"{path.name}:{node.lineno}"
        for path in languages.PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "%}" in node.value
    ]
    assert formatted == []

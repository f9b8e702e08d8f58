"""The complaints of the library that checks values, in words for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import number, spoken, tr

_NEEDED = {
    "int": tr("a whole number is needed"),
    "float": tr("a number is needed, like 0.5"),
    "bool": tr("true or false is needed"),
    "string": tr("a text is needed"),
    "tuple": tr("several values are needed, separated by commas"),
    "list": tr("several values are needed, separated by commas"),
    "model": tr("it has parameters of its own; set one of them"),
    "dict": tr("it has parameters of its own; set one of them"),
    "too": tr("it has too many parts or too few"),
    "missing": tr("it is missing"),
    "none": tr("nothing is needed here"),
    "extra": tr("Extra inputs are not permitted"),
    "finite": tr("Input should be a finite number"),
    "union": tr("Unable to extract tag using discriminator 'kind'"),
}
"""Where a library would speak of its types: by how the names of its complaints begin."""

_BOUNDS = {
    "greater_than": ("gt", tr("Input should be greater than {bound}")),
    "greater_than_equal": ("ge", tr("Input should be greater than or equal to {bound}")),
    "less_than": ("lt", tr("Input should be less than {bound}")),
    "less_than_equal": ("le", tr("Input should be less than or equal to {bound}")),
    "multiple_of": ("multiple_of", tr("Input should be a multiple of {bound}")),
}
"""What a bound asks for: by the name of the complaint, what the bound is called there and a sentence."""


def _words_for(first: Mapping[str, Any]) -> str:
    """Our own words for a library's complaint; "" where its message is a sentence of ours."""
    kind, bounds = first["type"], first.get("ctx", {})
    if kind == "too_long" and "max_length" in bounds:
        return tr(
            "it has at most {bound} parts (given: {given})",
            bound=bounds["max_length"], given=bounds["actual_length"],
        )  # fmt: skip
    if kind == "too_short" and "min_length" in bounds:
        return tr(
            "it has at least {bound} parts (given: {given})",
            bound=bounds["min_length"], given=bounds["actual_length"],
        )  # fmt: skip
    if kind in _BOUNDS:
        name, sentence = _BOUNDS[kind]
        bound = bounds[name]
        return sentence.format(bound=number(int(bound) if bound == int(bound) else bound))
    if kind == "literal_error":
        most, _, last = bounds["expected"].rpartition(" or ")
        if most:
            return tr("Input should be {most} or {last}", most=most, last=last)
        return tr("Input should be {last}", last=last)
    return _NEEDED.get(kind.partition("_")[0], "")


def explained(first: Mapping[str, Any]) -> str:
    """A complaint of pydantic's as one sentence.

    Raises:
        ValueError: a validator did not refuse, but failed.
    """
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, Exception) and not isinstance(cause, Refused):
        raise cause
    where = ".".join(str(part) for part in first["loc"] if not str(part).startswith("function-"))
    if first["type"] == "union_tag_invalid":
        tags, tag = first["ctx"]["expected_tags"].replace("'", ""), first["ctx"]["tag"]
        return tr("{where}: there is no {tag!r}; choose one of {tags}.", where=where, tag=tag, tags=tags)
    message = _words_for(first) or first["msg"].removeprefix("Value error, ").rstrip(".")
    if (given := _given(first.get("input"))) is not None:
        message = tr("{message} (given: {given})", message=message, given=given)
    return f"{where}: {_continuing(message)}." if where else f"{message}."


def place_of(loc: Sequence[int | str], data: Any) -> str:
    """The path of the parameter that a library complains about, without kinds and numbers in lists."""
    names = []
    for part in loc:
        if isinstance(data, Mapping) and part in data:
            names.append(str(part))
            data = data[part]
    return ".".join(names)


def _given(value: Any) -> Any:
    """What was given, as it is shown; None where that would be long."""
    if isinstance(value, str):
        return repr(value)
    return value if isinstance(value, int | float | bool) else None


def _continuing(message: str) -> str:
    """A message behind what it is about: names like VE stay as they are, and other languages' nouns."""
    if spoken().code != "en" or message[1:2].isupper():
        return message
    return message[:1].lower() + message[1:]

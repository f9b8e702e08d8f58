"""The complaints of the library that checks values, in words for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusion_studio.core.refused import Refused

_NEEDED = {
    "int": "a whole number is needed",
    "float": "a number is needed, like 0.5",
    "bool": "true or false is needed",
    "string": "a text is needed",
    "tuple": "several values are needed, separated by commas",
    "list": "several values are needed, separated by commas",
    "model": "it has parameters of its own; set one of them",
    "dict": "it has parameters of its own; set one of them",
    "too": "it has too many parts or too few",
    "missing": "it is missing",
    "none": "nothing is needed here",
}
"""Where a library would speak of its types: by how the names of its complaints begin."""


def _words_for(first: Mapping[str, Any]) -> str:
    """Our own words for a library's complaint; "" where its message is of plain words already."""
    bounds = first.get("ctx", {})
    for bound, words in (("max_length", "at most"), ("min_length", "at least")):
        if first["type"] in ("too_long", "too_short") and bound in bounds:
            return f"it has {words} {bounds[bound]} parts (given: {bounds['actual_length']})"
    return _NEEDED.get(first["type"].partition("_")[0], "")


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
        tags = first["ctx"]["expected_tags"].replace("'", "")
        return f"{where}: there is no {first['ctx']['tag']!r}; choose one of {tags}."
    message = _words_for(first) or first["msg"].removeprefix("Value error, ").rstrip(".")
    given = first.get("input")
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    if where and not message[1:2].isupper():  # a name like VE stays as it is
        message = message[:1].lower() + message[1:]
    return f"{where}: {message}{shown}." if where else f"{message}."

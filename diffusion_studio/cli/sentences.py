"""What is said on stderr: sentences for a person, and the exit code that goes with them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import typer
from rich.console import Console

from diffusion_studio.core.refused import Refused

WRONG_USAGE = 2
_COLORS = {1: "red", WRONG_USAGE: "yellow"}
errors = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def plain(sentence: str) -> str:
    """Without what would act on a terminal: names of files and classes may hold escape sequences."""
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in sentence)


def _escaped(character: str) -> str:
    """Space as a space, a byte of another encoding as it is, the rest in digits."""
    if character.isspace():
        return " "
    return character if "\udc80" <= character <= "\udcff" else character.encode("unicode_escape").decode()


def note(sentence: str) -> None:
    """Something to know; the command goes on."""
    errors.print(plain(sentence), style="yellow")


def complain(sentence: str, code: int = 1) -> int:
    """Says why a command ends; returns its exit code."""
    errors.print(plain(sentence), style=_COLORS[code])
    return code


@contextlib.contextmanager
def usage() -> Iterator[None]:
    """Options that are refused here are wrong usage."""
    try:
        yield
    except Refused as error:
        raise typer.Exit(complain(str(error), WRONG_USAGE)) from error

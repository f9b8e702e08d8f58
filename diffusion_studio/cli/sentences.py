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


def note(sentence: str) -> None:
    """Something to know; the command goes on."""
    errors.print(sentence, style="yellow")


def complain(sentence: str, code: int = 1) -> int:
    """Says why a command ends; returns its exit code."""
    errors.print(sentence, style=_COLORS[code])
    return code


@contextlib.contextmanager
def usage() -> Iterator[None]:
    """Options that are refused here are wrong usage."""
    try:
        yield
    except Refused as error:
        raise typer.Exit(complain(str(error), WRONG_USAGE)) from error

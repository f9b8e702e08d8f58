"""Options that several commands share, and the form that all of them have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from diffusion_studio.engine.files.places import at_home


def _device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise typer.BadParameter(f"{name!r} is none of auto, cpu, cuda, cuda:1 (the second of several), mps.")
    return name


def named(text: str) -> str:
    """What an option names; an empty path would be the folder that one stands in."""
    if not text.strip():
        raise typer.BadParameter("name a file or a folder; nothing is named here.")
    return text


def named_path(text: str) -> Path:
    """A path; `~` is the home also where the shell leaves it (`--out=~/x.png`)."""
    return at_home(named(text))


Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="[auto|cpu|cuda|cuda:N|mps]", callback=_device, help="What to compute on."
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, max=2**31 - 1, help="Same seed, same numbers.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a parameter; see the keys below."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there already.")]
TrainedRun = Annotated[
    Path, typer.Argument(metavar="RUN", parser=named_path, help="A run that has a checkpoint.")
]


Moved = Annotated[
    str | None,
    typer.Option(
        "--data", metavar="DIR", parser=named,
        help="Where the images of the run are now, if they were moved; they must be the same.",
    ),
]  # fmt: skip


RunFolder = Annotated[
    Path | None,
    typer.Option("--run", metavar="DIR", parser=named_path, help="The run folder; a new one by default."),
]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Stop after so many steps in all.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in DIR.")]


def plain_app(**settings: Any) -> typer.Typer:
    """A Typer whose help is plain text, and which leaves errors to the program."""
    return typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, **settings
    )

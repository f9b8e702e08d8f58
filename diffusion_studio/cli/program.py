"""The program of the command line: finds the command that is asked for, runs it, and tells how it ended."""

from __future__ import annotations

import importlib
import io
import logging
import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from typer._completion_classes import completion_init  # of all shells; nothing public reads a line
from typer.core import TyperGroup
from typer.main import get_command

import diffusion_studio
from diffusion_studio.cli.commands import COMMANDS, COMPLETE, Command
from diffusion_studio.cli.options import plain_app
from diffusion_studio.cli.sentences import complain
from diffusion_studio.core.importing import ended_by_ctrl_c
from diffusion_studio.core.refused import Refused
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.files.log import kept_log
from diffusion_studio.engine.jobs.failures import words_for

log = logging.getLogger(__name__)
NAME = "diffusion-studio"


class _Commands(TyperGroup):
    """The commands in the context's `obj`, each imported only when it runs."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(ctx.obj)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in ctx.obj:
            return None
        try:
            with ended_by_ctrl_c():
                module = importlib.import_module(ctx.obj[cmd_name].module)
        except ImportError as error:
            log.exception("A library could not be loaded")
            named = f": {error.name}" if error.name else ""
            raise Refused(
                f"A library that this needs could not be loaded{named}. Run diffusion-studio doctor; it says "
                "what is missing."
            ) from error
        return get_command(module.app)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in ctx.obj.items()])


app = plain_app(
    cls=_Commands,
    name=NAME,
    help="A desktop laboratory for diffusion models. Without a command it opens the window: "
    "diffusion-studio [PATH], where PATH is a folder of images, a run, a picture that was exported here, or "
    "the state of a page (also --state FILE).",
)


class Shell(StrEnum):
    """Those whose completion is known."""

    BASH, ZSH, FISH, POWERSHELL = "bash", "zsh", "fish", "powershell"


def _completion(shell: Shell | None) -> None:
    """Prints what a shell has to read; it sets `COMPLETE` then, whenever it asks how a line goes on."""
    if shell is not None:
        os.environ[COMPLETE] = f"source_{shell.value}"
        completion_init()
        app([], prog_name=NAME)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(diffusion_studio.__version__)
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    completion: Annotated[
        Shell | None,
        typer.Option(
            "--completion",
            callback=_completion,
            is_eager=True,
            help="Print the script with which a shell completes commands and options.",
        ),
    ] = None,
) -> None:
    together = os.environ.get("WORLD_SIZE", "1") != "1" and "MASTER_PORT" in os.environ
    if together and context.invoked_subcommand not in (None, "train"):
        raise Refused(f"Several processes can only train together; {context.invoked_subcommand} is for one.")


def _print_anything(stream: TextIO | None) -> None:
    """Lets names of files in another encoding through, and a console without Greek letters show a mark."""
    if isinstance(stream, io.TextIOWrapper):
        is_unicode = stream.encoding.lower().startswith("utf")
        stream.reconfigure(errors="surrogateescape" if is_unicode else "replace")


def _check_here() -> None:
    """Raises Refused in a folder that was deleted: no relative path leads anywhere, and libraries crash."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise Refused("The folder this was started in is not there any more; go to another one.") from None


def main(arguments: list[str], commands: Mapping[str, Command] = COMMANDS) -> int:
    """Runs one command; returns the exit code: 0 done, 1 failed with a sentence, 2 wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        _print_anything(stream)
    with kept_log("commands.log"):
        try:
            _check_here()
            if COMPLETE in os.environ:
                completion_init()
            app(arguments, obj=commands, prog_name=NAME if COMPLETE in os.environ else None)
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        except Cancelled:
            return complain("Stopped; nothing was written.")
        except Exception as error:
            return complain(words_for(error))
    return 0

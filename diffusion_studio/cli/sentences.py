"""What is said on stderr: sentences for a person, and the exit code that goes with them."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal, cast

import typer
from rich.console import Console

from diffusion_studio.core.refused import Refused

WRONG_USAGE = 2
PATIENCE = 1.0  # seconds for a terminal that takes nothing, once
_PROXIED = "rich_proxied_file"  # rich's name for the stream behind
_NOBODY = [errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO]  # a closed pipe, terminal or descriptor
_NOBODY += [errno.EINVAL] if os.name == "nt" else []  # what Windows says of a closed pipe
_COLORS = {1: "red", WRONG_USAGE: "yellow"}


class Lasting:
    """stdout or stderr, written to without a fault where nobody reads it any more.

    A terminal that was closed or a pipe whose other end has ended; `gone` says that it was found so. It is
    not where there was none from the beginning (`>&-`): then nobody is waited for. A terminal that takes
    nothing now, held by Ctrl+S or behind a connection that hangs, loses what it has no room for, and so does
    a file on a full disk: what is worked on does not wait for it. Neither does it for a pipe that nobody
    empties (`2>&1 | less`), where that is said.

    Args:
        waits: for a pipe; what goes through it is for a program, which must have each line.
    """

    def __init__(self, name: Literal["stdout", "stderr"], waits: bool = True) -> None:
        self._name, self._waits = name, waits
        self.gone = False
        self._terminals: dict[str, int] = {}  # opened here, by their names: writing to them never waits
        self._is_stuck = False

    def __getattr__(self, name: str) -> Any:
        if name == _PROXIED:
            raise AttributeError(name)
        return getattr(self._stream, name)

    @property
    def _stream(self) -> Any:
        """Not what a bar puts in its place so that other lines appear above it."""
        found = getattr(sys, self._name)
        return getattr(found, _PROXIED, found)

    def write(self, text: str) -> int:
        with self._losing_nothing_else():
            if self._stream is not None and not self._to_terminal(text) and not self._to_pipe(text):
                self._stream.write(text)
        return len(text)

    def _to_terminal(self, text: str) -> bool:
        """Whether it is a terminal, which has what it had room for."""
        if self.gone or not hasattr(os, "ttyname") or not self._stream.isatty():
            return False
        try:
            name = os.ttyname(self._stream.fileno())
            if name not in self._terminals:  # the way in which the shell writes to it stays as it is
                self._terminals[name] = os.open(name, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:  # its name is not known here, as in some containers
            return False
        terminal, rest = self._terminals[name], text.encode(self._stream.encoding or "utf-8", "replace")
        while rest:
            try:
                rest = rest[os.write(terminal, rest) :]
                self._is_stuck = False
            except BlockingIOError:
                if not self._has_room(terminal):
                    break
        return True

    def _has_room(self, there: int) -> bool:
        """Whether something takes more now, or soon if it did until now."""
        waits = 0.0 if self._is_stuck else PATIENCE
        self._is_stuck = not select.select([], [there], [], waits)[1]
        return not self._is_stuck

    def _to_pipe(self, text: str) -> bool:
        """Whether it is a pipe that is not waited for, which has what it had room for."""
        if self.gone or self._waits or os.name == "nt":
            return False
        try:
            pipe = self._stream.fileno()
            if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
                return False
        except OSError:
            return False
        rest = text.encode(self._stream.encoding, self._stream.errors)
        while rest and self._has_room(pipe):
            rest = rest[os.write(pipe, rest[: select.PIPE_BUF]) :]  # so much never waits then
        return True

    def flush(self) -> None:
        with self._losing_nothing_else():
            if self._stream is not None:
                self._stream.flush()

    @contextlib.contextmanager
    def _losing_nothing_else(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.gone |= error.errno in _NOBODY
            with contextlib.suppress(OSError, io.UnsupportedOperation), Path(os.devnull).open("w") as nowhere:
                self._lose(nowhere.fileno())

    def _lose(self, nowhere: int) -> None:
        """What Python holds back, or it would fail once more at its end; all to come, where nobody reads."""
        here = self.fileno()
        kept = os.dup(here)
        try:
            os.dup2(nowhere, here)
            if not self.gone:
                self._stream.flush()
        finally:
            if not self.gone:
                os.dup2(kept, here)
            os.close(kept)


output = Lasting("stdout")
_stderr = Lasting("stderr", waits=False)
errors = Console(
    file=cast("IO[str]", _stderr), highlight=False, soft_wrap=True, markup=False, emoji=False
)  # fmt: skip


def tell(result: object) -> None:
    """A line of what was asked for, on stdout."""
    typer.echo(result, file=cast("IO[str]", output))


def nobody_reads() -> bool:
    """Whether what is printed reaches nobody any more."""
    return output.gone or _stderr.gone


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

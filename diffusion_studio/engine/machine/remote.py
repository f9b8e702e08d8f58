"""A folder on another machine, by the ssh and rsync of this one; nothing is ever asked on a terminal."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffusion_studio.core.refused import Refused
from diffusion_studio.data.errors import Cancelled

EXAMPLE = "ssh://someone@server/home/someone/runs/photos"
PROGRAM = "diffusion-studio"
_ADDRESS = re.compile(
    r"ssh://(?P<host>(?:\w[\w.-]*@)?\w[\w.-]*)(?::(?P<port>\d{1,5}))?(?P<path>/[\w./~+@=,-]*)", re.ASCII
)
_OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=5")
_LOOK_AGAIN = 0.1  # seconds between two looks at whether it is to be cancelled
_NOT_THERE, _APART = 127, 255  # what a shell and ssh end with: no such program; no connection
_KEY = ("permission denied", "host key verification failed")

Stop = Callable[[], bool]


def never() -> bool:
    """Nobody gives up."""
    return False


@dataclass(frozen=True)
class Remote:
    """A folder on another machine.

    Args:
        host: its name, with the person's before it where that is another one.
        port: of its ssh; 0: the usual one.
        path: absolute, or from the person's home on.
    """

    host: str
    port: int
    path: str

    @classmethod
    def at(cls, address: str) -> Remote:
        """`ssh://[person@]host[:port]/path`; a path that begins with `/~/` lies in the home there.

        Raises:
            Refused: no such address; the message is a sentence.
        """
        found = _ADDRESS.fullmatch(address.strip())
        path = found["path"].rstrip("/") if found else ""
        if found is None or not path:
            raise Refused(
                f"{address} is no address of a run: it looks like {EXAMPLE}, of letters and digits without "
                "spaces."
            )
        return cls(found["host"], int(found["port"] or 0), path.removeprefix("/~/"))

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.path.rpartition("/")[2]

    def do(self, command: str, cancelled: Stop = never) -> None:
        """Runs a command of the shell there.

        Raises:
            Refused: it cannot be reached, or the command failed; the message is a sentence.
            Cancelled: `cancelled()` became true.
        """
        port = ("-p", str(self.port)) if self.port else ()
        code, said = _ran(["ssh", *_OPTIONS, *port, self.host, command], cancelled)
        if code:
            raise Refused(self._why(code, said))

    def touch(self, file: str, cancelled: Stop = never) -> None:
        """Makes an empty file in the folder. Raises as `do`."""
        self.do(f"touch -- {shlex.quote(f'{self.path}/{file}')}", cancelled)

    def remove(self, file: str, cancelled: Stop = never) -> None:
        """Removes a file in the folder, if it is there. Raises as `do`."""
        self.do(f"rm -f -- {shlex.quote(f'{self.path}/{file}')}", cancelled)

    def begin(self, words: Sequence[str], cancelled: Stop = never) -> None:
        """Starts this program there, which goes on by itself when the connection ends. Raises as `do`."""
        command = shlex.join([PROGRAM, *words])
        self.do(
            f"command -v {PROGRAM} >/dev/null || exit {_NOT_THERE}; "
            f"nohup {command} </dev/null >/dev/null 2>&1 &",
            cancelled,
        )

    def mirror(self, to: Path, without: Sequence[str] = (), cancelled: Stop = never) -> None:
        """Makes a folder here like the one there; what is gone there stays, and links are passed over.

        Args:
            without: patterns of names that are left out.

        Raises:
            Refused: as `do`, or it cannot be written here.
        """
        with contextlib.suppress(OSError):  # rsync says why
            to.mkdir(parents=True, exist_ok=True)
        shell = shlex.join(["ssh", *_OPTIONS, *(["-p", str(self.port)] if self.port else [])])
        left_out = [f"--exclude={pattern}" for pattern in without]
        where = [f"{self.host}:{self.path}/", f"{to}/"]
        code, said = _ran(["rsync", "-rtz", "--timeout=20", "-e", shell, *left_out, *where], cancelled)
        if code:
            raise Refused(self._why(code, said))

    def _why(self, code: int, said: str) -> str:
        """Why it did not work, from how a program ended and what it said last."""
        last = said.strip().rpartition("\n")[2] or f"it ended with code {code}"
        if any(sign in said.casefold() for sign in _KEY):
            return (
                f"{self.host} asks for a password, or is not known here. Log in once with “ssh {self.host}”, "
                f"and give it your key with “ssh-copy-id {self.host}”: nothing can be asked meanwhile."
            )
        if "no such file" in said.casefold():
            return f"There is no folder {self.path} on {self.host}."
        if code == _NOT_THERE:
            missing = "rsync" if "rsync" in said else PROGRAM
            return f"{missing} is not found on {self.host}: install it there, where ssh finds it."
        if code == _APART:
            return f"{self.host} cannot be reached: {last.rstrip('.')}."
        return f"{self.host} says: {last.rstrip('.')}."


def _ran(words: Sequence[str], cancelled: Stop) -> tuple[int, str]:
    """How a program ended, and what it said of errors.

    Raises:
        Refused: there is none.
        Cancelled: it was ended before.
    """
    nowhere = subprocess.DEVNULL
    try:
        running = subprocess.Popen(
            words, stdin=nowhere, stdout=nowhere, stderr=subprocess.PIPE, text=True, errors="replace"
        )
    except OSError:
        raise Refused(f"{words[0]} is not found on this machine; other machines are reached by it.") from None
    with running:
        while True:
            try:
                said = running.communicate(timeout=_LOOK_AGAIN)[1]
                return running.returncode, said
            except subprocess.TimeoutExpired:
                if cancelled():
                    running.kill()
                    running.communicate()
                    raise Cancelled from None

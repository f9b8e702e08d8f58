"""A folder on another machine, by the ssh and rsync of this one; nothing is ever asked on a terminal."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data.errors import Cancelled

EXAMPLE = "ssh://someone@server/home/someone/runs/photos"
PROGRAM = "diffusion-studio"
BEGUN = "begun.log"  # in the folder of a run that was begun from here: what it says that is wrong
_ADDRESS = re.compile(
    r"ssh://(?P<host>(?:[\w][\w.-]*@)?\w[\w.-]*)(?::(?P<port>\d{1,5}))?(?P<path>/[^\x00-\x1f\x7f]*)", re.ASCII
)
_OPTIONS = (
    "-o", "BatchMode=yes", "-o", "ConnectTimeout=5",
    "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
)  # fmt: skip
_LOOK_AGAIN = 0.1  # seconds between two looks at whether it is to be cancelled
_TO_END = 2.0  # seconds in which a program that is cancelled may tidy up
_LOOKS = 600  # a fifth of a second each: a training that is begun there may say that it cannot
_APART = (10, 12, 30, 35, 255)  # what ssh, and rsync over it, end with where the connection is none
_VANISHED = 24  # of rsync: a file was replaced while it was copied, which a training does all the time
_FREE, _HELD = 97, 98  # what a command there ends with, where nobody holds a lock or somebody does
_NO_FOLDER, _NO_PROGRAM, _NO_RUN = "(no such folder)", "(no such program)", "(no run)"  # said by what is sent
_IS_RUN = "[ -f config.json ] && { [ -d checkpoints ] || grep -q '\"schema\"' config.json; }"
_REFUSED = re.compile(r"permission denied \((?P<ways>[a-z,-]+)\)|(?P<many>too many authentication failures)")
_HERE = re.compile(
    r"^rsync: \[(?:receiver|generator)\].*(?:failed|failed on .*?): (?P<why>[^:]+) \(\d+\)$", re.I | re.M
)
_NOISE = (
    "rsync error:",
    "rsync warning:",
    "rsync: connection unex",
    "rsync: [generator]",
    "rsync: [receiver]",
)

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
        path = unquote(found["path"]).rstrip("/") if found else ""
        if found is None or not path or "\0" in path or "\n" in path or _is_no_name(path):
            raise Refused(
                tr(
                    "{address} is no address of a run: it looks like {example}.",
                    address=address,
                    example=EXAMPLE,
                )
            )
        return cls(found["host"], int(found["port"] or 0), path.removeprefix("/~/"))

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.path.rpartition("/")[2]

    @property
    def address(self) -> str:
        """What `at` makes it of."""
        port, home = f":{self.port}" if self.port else "", "" if self.path.startswith("/") else "/~/"
        return f"ssh://{self.host}{port}{home}{quote(self.path)}"

    def do(self, command: str, cancelled: Stop = never) -> None:
        """Runs a command of the shell there, in the folder.

        Raises:
            Refused: it cannot be reached, or the command failed; the message is a sentence.
            Cancelled: `cancelled()` became true.
        """
        code, said = self._asked(command, cancelled)
        if code:
            raise Refused(self._why(code, said))

    def _asked(self, command: str, cancelled: Stop) -> tuple[int, str]:
        words = [*self._ssh, self.host, f"exec sh -c {shlex.quote(f'{self._enter}; {command}')}"]
        return _ran(words, cancelled)

    def holds(self, lock: str, cancelled: Stop = never) -> bool | None:
        """Whether a process there holds a lock of the folder; None where nobody can be asked.

        Raises:
            Refused: there is no ssh here.
            Cancelled: `cancelled()` became true.
        """
        file = shlex.quote(lock)
        free = f"{{ [ ! -e {file} ] || flock -n {file} true; }} && exit {_FREE}"
        held = f"[ $? = 1 ] && exit {_HELD}"  # any other end of flock says nothing
        code, _ = self._asked(f"command -v flock >/dev/null || exit 1; {free}; {held}", cancelled)
        return {_FREE: False, _HELD: True}.get(code)

    @property
    def _ssh(self) -> list[str]:
        return ["ssh", *_OPTIONS, *(["-p", str(self.port)] if self.port else [])]

    @property
    def _enter(self) -> str:
        """For sh, in whatever language: goes into the folder, or ends with a word of ours."""
        folder = shlex.quote(self.path)
        return f"cd -- {folder} 2>/dev/null || {{ echo '{_NO_FOLDER}' >&2; exit 1; }}"

    def touch(self, file: str, cancelled: Stop = never) -> None:
        """Makes an empty file in the folder. Raises as `do`."""
        self.do(f"touch -- {shlex.quote(file)}", cancelled)

    def remove(self, file: str, cancelled: Stop = never) -> None:
        """Removes a file in the folder, if it is there. Raises as `do`."""
        self.do(f"rm -f -- {shlex.quote(file)}", cancelled)

    def begin(self, words: Sequence[str], log: str, cancelled: Stop = never) -> None:
        """Starts this program there, with the folder as its run; it goes on when the connection ends.

        It is looked after until it has written more into `log` of the run, or has ended.

        Raises:
            Refused: as `do`, or it ended in bad order; the message is what it said.
            Cancelled: `cancelled()` became true; it may be begun all the same.
        """
        log, size = shlex.quote(log), "wc -c 2>/dev/null <"
        self.do(
            f"{_needs(PROGRAM)}; before=$({size}{log}); "
            f'nohup {shlex.join([PROGRAM, *words])} --run "$PWD" '
            f"</dev/null >/dev/null 2>{BEGUN} & "
            f"begun=$!; left={_LOOKS}; "
            f'while kill -0 $begun 2>/dev/null && [ "$({size}{log})" = "$before" ] && [ $left -gt 0 ]; '
            "do sleep 0.2; left=$((left - 1)); done; "
            f"kill -0 $begun 2>/dev/null || wait $begun || {{ cat {BEGUN} >&2; exit 1; }}",
            cancelled,
        )

    def mirror(self, to: Path, without: Sequence[str] = (), cancelled: Stop = never) -> None:
        """Makes a folder here like the run there; what is gone there stays, and links are passed over.

        Args:
            without: patterns of names that are left out.

        Raises:
            Refused: as `do`, or it is no run (nothing of it is copied), or it cannot be written here.
        """
        with contextlib.suppress(OSError):  # rsync says why
            to.mkdir(parents=True, exist_ok=True)
        is_run = f"{{ {_IS_RUN}; }} || {{ echo '{_NO_RUN}' >&2; exit 1; }}"
        there = (
            f'{self._enter}; {_needs("rsync")}; {is_run}; exec rsync "$@"'  # no pattern is read in the path
        )
        left_out = [f"--exclude={pattern}" for pattern in without]
        where = [
            "-e",
            shlex.join(self._ssh),
            f"--rsync-path=sh -c {shlex.quote(there)} rsync",
            f"{self.host}:./",
            f"{to}/",
        ]
        code, said = _ran(["rsync", "-rtz", "--timeout=20", *left_out, *where], cancelled)
        if code == _VANISHED:
            return
        if code and (here := _HERE.search(said)) is not None:
            raise Refused(
                tr(
                    "{name} cannot be mirrored to {to}: {reason}.",
                    name=self.name,
                    to=to,
                    reason=here["why"].lower(),
                )
            )
        if code:
            raise Refused(self._why(code, said))

    def _why(self, code: int, said: str) -> str:
        """Why it did not work, from how a program ended and what it said."""
        lowered = said.casefold()
        if _NO_FOLDER in said:
            return tr("There is no folder {path} on {host}.", path=self.path, host=self.host)
        if _NO_RUN in said:
            return tr(
                "The folder {path} on {host} is not a run: name the one in which its config.json lies.",
                path=self.path,
                host=self.host,
            )
        if _NO_PROGRAM in said:
            missing = said.partition(_NO_PROGRAM)[2].split()[0]
            return tr(
                "{missing} is not found on {host}: install it there, where ssh finds it.",
                missing=missing,
                host=self.host,
            )
        if "host key verification failed" in lowered or _REFUSED.search(lowered):
            return self._stranger(lowered)
        lines = [line for line in said.strip().splitlines() if not line.startswith(_NOISE)]
        apart = code in _APART
        last = (
            lines[-1].strip().removeprefix("ssh: ").rstrip(".")
            if lines
            else tr("it ended with code {code}", code=code)
        )
        if apart:
            return tr(
                "{host} cannot be reached: {reason}.",
                host=self.host,
                reason=last if lines else tr("the connection ended"),
            )
        return tr("{host} says: {last}.", host=self.host, last=last)

    def _stranger(self, said: str) -> str:
        """Why one of the two does not know the other."""
        port = f"-p {self.port} " if self.port else ""
        login = tr("“ssh {port}{host}”", port=port, host=self.host)
        give = tr("“ssh-copy-id {port}{host}”", port=port, host=self.host)
        if "identification has changed" in said:
            return tr(
                "{host} shows another key than before: it was set up anew, or something stands "
                "between. Find out which; {login} says how the old key is forgotten.",
                host=self.host,
                login=login,
            )
        if "host key verification failed" in said:
            return tr(
                "{host} is not known here. Log in once with {login}, and look whether its key is right.",
                host=self.host,
                login=login,
            )
        refused = _REFUSED.search(said)
        ways = (refused["ways"] or "") if refused else ""
        if "password" in ways or "keyboard" in ways:
            return tr(
                "{host} asks for a password, and nothing can be asked meanwhile. Give it your key with "
                "{give}.",
                host=self.host,
                give=give,
            )
        return tr(
            "{host} takes none of your keys. Give it one with {give}, or name the right person there.",
            host=self.host,
            give=give,
        )


def _is_no_name(path: str) -> bool:
    """Whether a path ends in what is no name of its own, so that nothing could be kept under it here."""
    return path.rpartition("/")[2] in (".", "..")


def _needs(program: str) -> str:
    """For sh: ends with a word of ours, where there is no such program."""
    return f"command -v {program} >/dev/null || {{ echo '{_NO_PROGRAM}' {program} >&2; exit 1; }}"


def _ran(words: Sequence[str], cancelled: Stop) -> tuple[int, str]:
    """How a program ended, and what it said of errors.

    Raises:
        Refused: there is none.
        Cancelled: it was ended before.
    """
    nowhere = subprocess.DEVNULL
    try:
        running = subprocess.Popen(
            words, stdin=nowhere, stdout=nowhere, stderr=subprocess.PIPE, text=True, errors="replace",
            env=os.environ | {"LC_ALL": "C"},  # what they say is read
        )  # fmt: skip
    except OSError:
        raise Refused(
            tr("{program} is not found on this machine; other machines are reached by it.", program=words[0])
        ) from None
    with running:
        while True:
            try:
                said = running.communicate(timeout=_LOOK_AGAIN)[1]
                return running.returncode, said
            except subprocess.TimeoutExpired:
                if cancelled():
                    _end(running)
                    raise Cancelled from None


def _end(running: subprocess.Popen[str]) -> None:
    """rsync takes its half copied file away when it is asked to end."""
    running.terminate()
    try:
        running.communicate(timeout=_TO_END)
    except subprocess.TimeoutExpired:
        running.kill()
        running.communicate()

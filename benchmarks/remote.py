"""A run on another machine, by the real ssh and rsync: a server of ssh on this machine, on a port of its own.

    python -m benchmarks.remote [troubles] [window] [--pictures FOLDER]

troubles  paths with every kind of character, and all that goes wrong: each in a sentence, and how soon
window    a training there, watched in the window, paused, let go on, stopped and begun again; the connection
          is cut in between. With --pictures the window is photographed at each of these moments.

Server, keys and what is known of hosts lie in a temporary folder, and nothing outside of it is read or
written. Exit code 1 where anything is said otherwise than expected, or does not come back.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from benchmarks.measuring import table
from diffusion_studio.core.refused import Refused
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.machine.remote import PROGRAM, Remote

HOME = "DIFFUSION_STUDIO_HOME"
LONGEST = 30.0  # seconds until anything must have come back
LARGE = 64 << 20  # bytes of a file that takes its time
ROOM = 8 << 20  # bytes of a disk that is soon full
ODD = (
    "a b",
    "ü 图",
    "it's “q\"",
    "[x] *?",
    "$(touch oops);&`x`",
    "back\\slash",
    "-dash",
    "~",
    "100%25",
    "#1",
)
SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {place}/host
PidFile {place}/pid-{port}
AuthorizedKeysFile {place}/authorized
StrictModes no
UsePAM no
PermitRootLogin yes
KbdInteractiveAuthentication no
SetEnv PATH={place}/programs:/usr/bin:/bin PYTHONPATH={code} OMP_NUM_THREADS=1 {home}={place}/home
"""
CLIENT = """
Host *
  IdentityFile {place}/key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {place}/known
  GlobalKnownHostsFile /dev/null
"""


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


class Server:
    """sshd on this machine.

    Args:
        place: where keys and settings lie; made by `prepared`.
        more: lines of its settings.
        port: 0: one that is free.
    """

    def __init__(self, place: Path, *more: str, port: int = 0) -> None:
        self.port = port or free_port()
        (place / f"pid-{self.port}").unlink(missing_ok=True)
        settings = place / f"settings-{self.port}"
        code = Path(__file__).resolve().parents[1]
        lines = SERVER.format(home=HOME, port=self.port, place=place, code=code)
        settings.write_text("\n".join([lines, *more, ""]))
        program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        assert program is not None
        self._running = subprocess.Popen(
            [program, "-D", "-f", settings, "-E", place / f"log-{self.port}"], stdin=subprocess.DEVNULL
        )
        while self._running.poll() is None and not (place / f"pid-{self.port}").exists():
            time.sleep(0.02)

    def at(self, path: Path | str, person: str = "") -> Remote:
        who = f"{person}@" if person else ""
        return Remote.at(f"ssh://{who}127.0.0.1:{self.port}{path}")

    def sessions(self) -> list[psutil.Process]:
        """What works for those that are connected, the listening one left out."""
        found: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            found += psutil.Process(self._running.pid).children(recursive=True)
        return found

    def cut(self) -> None:
        """Ends all connections, as a net that is gone does for the two that it connected."""
        for process in self.sessions():
            if process.name() == "sshd" or process.name() == "rsync":
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    def end(self) -> None:
        self.cut()
        self._running.terminate()
        self._running.wait()


@contextlib.contextmanager
def prepared() -> Iterator[Path]:
    """A folder with keys, and this machine's ssh told to use them and nothing else."""
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        for name in ("host", "key", "stranger"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / name], check=True)
        shutil.copy(place / "key.pub", place / "authorized")
        (place / "client").write_text(CLIENT.format(place=place))
        real = shutil.which("ssh")
        programs = place / "bin"
        programs.mkdir()
        put(programs / "ssh", f'#!/bin/sh\nexec {real} -F {place}/client "$@"\n')
        os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
        Path("/run/sshd").mkdir(exist_ok=True)  # without it a server of root's does not begin
        yield place


def put(path: Path, script: str) -> None:
    path.write_text(script)
    path.chmod(0o755)


def know(place: Path, server: Server, key: str = "host") -> None:
    """Takes down that the server has this key."""
    with (place / "known").open("a") as known:
        known.write(f"[127.0.0.1]:{server.port} {(place / f'{key}.pub').read_text()}")


# --- troubles ---------------------------------------------------------------------------------------------

Rows = list[tuple[str, str, float, bool]]


def tried(rows: Rows, what: str, do: Callable[[], object], expected: str = "") -> None:
    """Does something and takes down what is said, how long it took and whether that was expected.

    Args:
        expected: a pattern of the sentence; "": it works.
    """
    began = time.perf_counter()
    try:
        do()
        said = ""
    except Refused as error:
        said = str(error)
    except Exception as error:
        said = repr(error)
    seconds = time.perf_counter() - began
    sound = re.fullmatch(expected, said) is not None and seconds < LONGEST
    rows.append((what, said or "works", seconds, sound))
    print("." if sound else "!", end="", flush=True)


def folder(place: Path, name: str) -> Path:
    made = place / "there" / name
    (made / "samples").mkdir(parents=True)
    (made / "config.json").write_text('{"schema": 1}')
    (made / "samples" / "step ü.png").write_text("picture")
    return made


def troubles(place: Path) -> Rows:
    rows: Rows = []
    server = Server(place)
    here, run = place / "here", folder(place, "photos")
    mirrored = server.at(run)
    tried(rows, "a host whose key is not known", lambda: mirrored.mirror(here), ".* is not known here.*")
    know(place, server)
    paths(rows, place, server)
    strangers(rows, place, run)
    nothing_there(rows, place, server)
    full_disk(rows, place, server)
    broken(rows, place, server)
    server.end()
    tried(rows, "a server that is down", lambda: mirrored.mirror(here), ".*reached: .*refused.")
    tried(rows, "the same, asked to pause", lambda: mirrored.touch("pause"), ".*reached: .*refused.")
    nowhere = Remote.at("ssh://no-such-host.invalid/runs/photos")
    tried(rows, "a name that no machine has", lambda: nowhere.mirror(here), ".*reached: .*resolve.*")
    return rows


def paths(rows: Rows, place: Path, server: Server) -> None:
    here = place / "here"
    for name in ("photos", *ODD):
        made = place / "there" / name if name == "photos" else folder(place, name)
        remote = server.at(str(made).replace("%", "%25"), getpass.getuser())

        def there_and_back(remote: Remote = remote, made: Path = made) -> None:
            remote.mirror(here / made.name)
            remote.touch("pause")
            assert (made / "pause").exists()
            remote.remove("pause")
            names = {path.relative_to(here / made.name) for path in (here / made.name).rglob("*")}
            assert names == {path.relative_to(made) for path in made.rglob("*")}

        tried(rows, f"a folder named {name}", there_and_back)
    assert not list(place.rglob("oops"))


def strangers(rows: Rows, place: Path, run: Path) -> None:
    asks = Server(place, "PubkeyAuthentication no", "PasswordAuthentication yes")
    know(place, asks)
    tried(rows, "a host that asks for a password", lambda: asks.at(run).touch("a"), ".*asks for a password.*")
    tried(rows, "the same, mirrored", lambda: asks.at(run).mirror(place / "no"), ".*asks for a password.*")
    asks.end()
    refuses = Server(place, "AuthenticationMethods publickey", "PubkeyAcceptedAlgorithms ecdsa-sha2-nistp256")
    know(place, refuses)
    tried(rows, "a key that is refused", lambda: refuses.at(run).touch("a"), ".*takes none of your keys.*")
    refuses.end()
    other = Server(place)
    know(place, other, "stranger")
    tried(rows, "another key than before", lambda: other.at(run).touch("a"), ".*another key than before.*")
    other.end()


def nothing_there(rows: Rows, place: Path, server: Server) -> None:
    no = server.at(place / "nothing" / "photos")
    tried(rows, "no such folder", lambda: no.mirror(place / "no"), "There is no folder /.*/photos on .*")
    tried(rows, "the same, asked to pause", lambda: no.touch("pause"), "There is no folder /.*/photos on .*")
    above, sentence = server.at(place / "there"), "The folder /.*/there on .* is not a run: .*"
    tried(rows, "a folder that is no run", lambda: above.mirror(place / "no"), sentence)
    assert not any((place / "no").iterdir()), "something of it was copied"
    programs = place / "nearly-none"
    programs.mkdir()
    (programs / "sh").symlink_to("/bin/sh")
    bare = Server(place, f'ForceCommand exec /usr/bin/env PATH={programs} sh -c "$SSH_ORIGINAL_COMMAND"')
    know(place, bare)
    run = bare.at(place / "there" / "photos")
    tried(rows, "no rsync there", lambda: run.mirror(place / "no"), "rsync is not found on 127.*")
    tried(rows, f"no {PROGRAM} there", lambda: run.begin(["train"], "a"), f"{PROGRAM} is not found on 127.*")
    bare.end()


def full_disk(rows: Rows, place: Path, server: Server) -> None:
    """Needs root, who may mount a small disk."""
    small = place / "small"
    small.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", str(small)]
    if subprocess.run(words, check=False, stderr=subprocess.DEVNULL).returncode:
        rows.append(("a full disk here", "not tried: only root may mount one", 0.0, True))
        return
    made = folder(place, "large")
    (made / "large").write_bytes(os.urandom(2 * ROOM))
    tried(
        rows,
        "a full disk here",
        lambda: server.at(made).mirror(small / "x"),
        "large cannot be .*: no space left on device.",
    )
    subprocess.run(["umount", small], check=True)


def broken(rows: Rows, place: Path, server: Server) -> None:
    """Connections that end, and one that says nothing any more."""
    made = folder(place, "larger")
    (made / "large").write_bytes(os.urandom(LARGE))
    remote, here = server.at(made), place / "here" / "larger"

    def while_it_copies(do: Callable[[], None]) -> None:
        def wait_and_do() -> None:
            while not any(here.glob(".large.*")):
                time.sleep(0.001)
            do()

        waiting = threading.Thread(target=wait_and_do)
        waiting.start()
        try:
            remote.mirror(here)
        finally:
            waiting.join()
            shutil.rmtree(here)

    def freeze() -> None:
        for process in server.sessions():
            process.suspend()

    ended = ".* cannot be reached: .*"
    tried(rows, "a connection that is cut while it copies", lambda: while_it_copies(server.cut), ended)
    tried(rows, "one that says nothing any more", lambda: while_it_copies(freeze), ended)
    server.cut()
    tried(rows, "mirrored after all", lambda: remote.mirror(here))
    assert (here / "large").stat().st_size == LARGE
    shutil.rmtree(here)
    gone = threading.Event()

    def given_up() -> None:
        with contextlib.suppress(Cancelled):
            remote.mirror(here, (), lambda: any(here.glob(".large.*")))
            gone.set()
        assert not gone.is_set()
        assert not any(here.glob(".large.*")), "a half copied file is left"

    tried(rows, "given up while it copies", given_up)


# --- the window -------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["troubles", "window"])
    parser.add_argument("--pictures", type=Path, default=None)
    options = parser.parse_args()
    if any(shutil.which(name) is None for name in ("ssh", "rsync", "ssh-keygen")):
        print("Not tried: ssh, ssh-keygen or rsync is not on this machine.")
        return 0
    rows: Rows = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was begun is ended
    with prepared() as place:
        if "troubles" in options.parts:
            rows += troubles(place)
        if "window" in options.parts:
            from benchmarks.remote_window import watched

            rows += watched(place, options.pictures)
    print()
    table(["", "s", "what is said"], [[what, f"{s:.1f}", said] for what, said, s, _ in rows])
    wrong = [what for what, _, _, sound in rows if not sound]
    print("All as expected." if not wrong else f"Not as expected: {', '.join(wrong)}.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

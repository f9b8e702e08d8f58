"""A disk that fails, or a process that dies, at one of the changes of the disk below a folder.

Every call of the C library that opens a file to write, writes, flushes, cuts, renames, makes or removes
counts, whoever makes it: Python, SQLite, torch. So the process runs under a small library of its own, which
is compiled when it is asked for: Linux, and a C compiler.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
LIBRARY = "FAILING_DISK"  # the environment's name for it


def run_under_it() -> None:
    """Goes on with the same program under the library; returns at once where it is so already."""
    if LIBRARY in os.environ:
        return
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        sys.exit("This needs Linux and a C compiler (cc).")
    library = Path(tempfile.mkdtemp(prefix="failing-disk-")) / "failing_disk.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    environment = {**os.environ, LIBRARY: str(library), "LD_PRELOAD": str(library)}
    os.execve(sys.executable, [sys.executable, "-m", _module(), *sys.argv[1:]], environment)


def _module() -> str:
    spec = sys.modules["__main__"].__spec__
    assert spec is not None
    return spec.name


def library() -> ctypes.CDLL:
    found = ctypes.CDLL(os.environ[LIBRARY])
    found.counted.restype = ctypes.c_long
    found.arm.argtypes = (ctypes.c_char_p, ctypes.c_long, ctypes.c_int)
    return found


def forget() -> None:
    """Removes what was compiled, at the end of the program."""
    shutil.rmtree(Path(os.environ[LIBRARY]).parent, ignore_errors=True)


@dataclass(frozen=True)
class Disk:
    """What happens to a process at one of its changes of the disk.

    Args:
        home: the folder whose changes count.
        at: number of the change; 0: none.
        error: it fails with this number of an error; 0: the process is killed there.
    """

    home: str
    at: int = 0
    error: int = 0

    def install(self) -> None:
        """From now on in this process."""
        library().arm(os.fsencode(self.home), self.at, self.error)

    @staticmethod
    def seen() -> int:
        """How many changes there were."""
        return int(library().counted())

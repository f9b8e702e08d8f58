"""Another machine for tests: stand-ins for ssh and rsync on the path, which work on this one."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

SSH = """
import os, subprocess, sys, time
trouble = {trouble}
if trouble == "slow":
    time.sleep(600)
if trouble:
    print(trouble, file=sys.stderr)
    sys.exit(255)
host, command = sys.argv[-2:]
sys.exit(subprocess.run(["sh", "-c", command]).returncode)
"""
RSYNC = """
import fnmatch, pathlib, shutil, subprocess, sys
shell = sys.argv[sys.argv.index("-e") + 1].split()
source, target = sys.argv[-2:]
host, _, place = source.partition(":")
is_there = f"test -d {place} || {{ echo No such file or directory >&2; exit 23; }}"
reached = subprocess.run([*shell, host, is_there])
if reached.returncode:
    sys.exit(reached.returncode)
patterns = [word.removeprefix("--exclude=") for word in sys.argv if word.startswith("--exclude=")]
left_out = lambda folder, names: {name for name in names if any(fnmatch.fnmatch(name, p) for p in patterns)}
shutil.copytree(place, target, ignore=left_out, dirs_exist_ok=True)
"""
PROGRAM = """
import pathlib, sys
said = pathlib.Path({said})
said.with_suffix(".draft").write_text(" ".join(sys.argv[1:]))
said.with_suffix(".draft").rename(said)
"""


class Machine:
    """Programs on a path of their own, in front of all others."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self.begun = folder, folder / "begun"
        folder.mkdir()
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        self.has_trouble("")
        self.put("rsync", RSYNC)

    def put(self, name: str, source: str) -> None:
        """A program of that name."""
        draft = self._folder / f"{name}.draft"
        draft.write_text(f"#!{sys.executable}\n{source}")
        draft.chmod(draft.stat().st_mode | stat.S_IXUSR)
        draft.replace(self._folder / name)  # one that is being started is not changed

    def has_trouble(self, trouble: str) -> None:
        """ssh says this and ends; "": it works; "slow": it does not come back."""
        self.put("ssh", SSH.replace("{trouble}", repr(trouble)))

    def has_the_program(self) -> None:
        """It writes what it is begun with into `begun`."""
        self.put("diffusion-studio", PROGRAM.replace("{said}", repr(str(self.begun))))

"""Another machine for tests: stand-ins for ssh, rsync and flock on the path, which work on this one."""

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
sys.exit(subprocess.run(["sh", "-c", command], env=os.environ | {environment}).returncode)
"""
RSYNC = """
import fnmatch, os, shlex, shutil, subprocess, sys
if sys.argv[1] == "--sender":
    print(os.getcwd())
    sys.exit()
trouble, code = {trouble}
if trouble:
    print(trouble, file=sys.stderr)
    sys.exit(code)
shell = shlex.split(sys.argv[sys.argv.index("-e") + 1])
source, target = sys.argv[-2:]
host, _, place = source.partition(":")
there = next(word for word in sys.argv if word.startswith("--rsync-path=")).removeprefix("--rsync-path=")
reached = subprocess.run([*shell, host, f"{there} --sender {place}"], stdout=subprocess.PIPE, text=True)
if reached.returncode:
    sys.exit(reached.returncode)
patterns = [word.removeprefix("--exclude=") for word in sys.argv if word.startswith("--exclude=")]
left_out = lambda folder, names: {name for name in names if any(fnmatch.fnmatch(name, p) for p in patterns)}
def whole(source, target):  # whoever reads meanwhile reads the one before
    shutil.copy2(source, target + ".draft")
    os.replace(target + ".draft", target)
there = reached.stdout.rstrip("\\n")
shutil.copytree(there, target, ignore=left_out, copy_function=whole, dirs_exist_ok=True)
"""
FLOCK = """
import fcntl, sys
with open(sys.argv[2]) as lock:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(1)
"""
PROGRAM = """
import pathlib, sys
said = pathlib.Path({said})
said.with_suffix(".draft").write_text(" ".join(sys.argv[1:]))
said.with_suffix(".draft").rename(said)
sys.exit({trouble} or None)
"""


class Machine:
    """Programs on a path of their own, in front of all others but the product's."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self.begun = folder, folder / "begun"
        folder.mkdir()
        everywhere = os.environ["PATH"].split(os.pathsep)
        others = [place for place in everywhere if not Path(place, "diffusion-studio").exists()]
        monkeypatch.setenv("PATH", os.pathsep.join([str(folder), *others]))
        self.has_trouble("")
        self.copies_with_trouble("", 0)
        self.put("flock", FLOCK)

    def put(self, name: str, source: str) -> None:
        """A program of that name."""
        draft = self._folder / f"{name}.draft"
        draft.write_text(f"#!{sys.executable} -IS\n{source}")
        draft.chmod(draft.stat().st_mode | stat.S_IXUSR)
        draft.replace(self._folder / name)  # one that is being started is not changed

    def has_trouble(self, trouble: str) -> None:
        """ssh says this and ends; "": it works; "slow": it does not come back."""
        self.put("ssh", SSH.replace("{trouble}", repr(trouble)).replace("{environment}", "{}"))

    def has_only_a_shell(self) -> None:
        """No other program is there."""
        programs = self._folder / "there"
        programs.mkdir()
        (programs / "sh").symlink_to("/bin/sh")
        environment = repr({"PATH": str(programs)})
        self.put("ssh", SSH.replace("{trouble}", repr("")).replace("{environment}", environment))

    def copies_with_trouble(self, trouble: str, code: int) -> None:
        """rsync says this and ends with that; "": it works."""
        self.put("rsync", RSYNC.replace("{trouble}", repr((trouble, code))))

    def has_the_program(self, trouble: str = "") -> None:
        """It writes what it is begun with into `begun`, and fails with these words, if there are any."""
        self.put(
            "diffusion-studio",
            PROGRAM.replace("{said}", repr(str(self.begun))).replace("{trouble}", repr(trouble)),
        )

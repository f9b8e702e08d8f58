"""The virtual environment `.venv`: made, filled, and known to be complete by its stamp."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import time
import tomllib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starter.project import CONSTRAINTS, ROOT, StartError, say

VENV = ROOT / ".venv"
STAMP = VENV / "diffusion-studio-stamp.json"  # written last: without it the install is not finished
WINDOW = frozenset({"gui"})
TESTS = frozenset({"gui", "test"})


def python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def prepare(extras: frozenset[str]) -> list[subprocess.Popen[bytes]]:
    """Makes `.venv` hold everything for `extras`; at once when it does already.

    Returns:
        What still byte-compiles the packages that were installed. Nobody has to wait for it: a module that
        is imported before its turn is compiled by Python itself.

    Raises:
        StartError: it could not be made.
    """
    wanted = digest()
    if is_ready(wanted, extras):
        return []
    began = time.monotonic()
    extras |= installed_extras()
    STAMP.unlink(missing_ok=True)
    if not is_healthy():
        create()
    install(extras)
    STAMP.write_text(json.dumps({"digest": wanted, "extras": sorted(extras)}), encoding="utf-8")
    say(f"Ready after {time.monotonic() - began:.0f} s.")
    return compile_beside()


def digest() -> str:
    """Changes when another set of packages, another Python or another place is wanted."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [project["project"], project["build-system"], CONSTRAINTS.read_text(encoding="utf-8")]
    whole = json.dumps([*parts, sys.version, str(ROOT)], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def is_ready(wanted: str, extras: frozenset[str]) -> bool:
    stamp = _stamp()
    return stamp.get("digest") == wanted and extras <= installed_extras() and python().exists()


def installed_extras() -> frozenset[str]:
    return (
        frozenset(stamp_extras) if isinstance(stamp_extras := _stamp().get("extras"), list) else frozenset()
    )


def _stamp() -> dict[str, object]:
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def is_healthy() -> bool:
    """Whether `.venv` has a Python that starts, is of our version, and can be installed into."""
    version = _run([str(python()), "-c", "import sys; print(*sys.version_info[:2])"])
    if version != "{} {}".format(*sys.version_info) or _half_installed():
        return False
    return _run([*pip(), "--version"]) != ""


def _half_installed() -> bool:
    """Whether an install was cut off within a package: pip writes its RECORD last."""
    packages = (path for folder in _site_packages() for path in folder.glob("*.dist-info"))
    return not all((package / "RECORD").exists() for package in packages)


def _site_packages() -> list[Path]:
    return [path for lib in ("lib/python*", "Lib") for path in VENV.glob(f"{lib}/site-packages")]


def _run(command: list[str]) -> str:
    """What `command` prints, or nothing if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def create() -> None:
    """Makes an empty `.venv`, in the place of a broken one."""
    say(f"Creating .venv with Python {sys.version_info[0]}.{sys.version_info[1]} …")
    base = getattr(sys, "_base_executable", sys.executable)
    bare = [] if importlib.util.find_spec("ensurepip") else ["--without-pip"]
    if bare and not _outer_pip():
        raise StartError(
            "This Python can neither make a virtual environment with pip nor run pip itself. "
            "Install its venv package (on Debian and Ubuntu: apt-get install python3-venv) and start again."
        )
    command = [base, "-m", "venv", "--clear", *bare, str(VENV)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise StartError(f"{(done.stdout + done.stderr).strip()}\nThe folder {VENV} could not be made.")


def _outer_pip() -> list[str]:
    """This Python's own pip, told to work on `.venv`; nothing if it has none (or one older than 22.3)."""
    command = [sys.executable, "-m", "pip", "--python", str(python())]
    return command if "--python" in _run([sys.executable, "-m", "pip", "--help"]) else []


def pip() -> list[str]:
    """The pip that installs into `.venv`: its own, or this Python's where it has none."""
    inner = [str(python()), "-m", "pip"]
    return inner if _run([*inner, "--version"]) else _outer_pip() or inner


def install(extras: frozenset[str]) -> None:
    """Installs the checkout (editable) with `extras` at the pinned versions."""
    target = f"{ROOT}[{','.join(sorted(extras))}]"
    command = [*pip(), "install", "--no-input", "--progress-bar", "off", "--disable-pip-version-check"]
    command += ["--no-compile", "-c", str(CONSTRAINTS), "-e", target]
    last = _follow(command)
    if last is not None:
        raise StartError(
            f"{last}\n\nThe packages could not be installed; the lines above are the last that pip said. "
            "If the network was at fault, start the same command again: it goes on from here."
        )


def _follow(command: list[str]) -> str | None:
    """Runs pip and tells its stages, one line each; its last lines if it fails."""
    last: deque[str] = deque(maxlen=15)
    say("Finding and fetching packages (torch is large: the first time takes minutes) …")
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                last.append(line.rstrip())
                if line.startswith("Installing collected packages:"):
                    say(f"Installing {line.count(',') + 1} packages …")
        except KeyboardInterrupt:
            process.terminate()
            raise
    return "\n".join(last) if process.returncode else None


def compile_beside() -> list[subprocess.Popen[bytes]]:
    """Begins to byte-compile what is installed, on every core and beside whatever is done next."""
    shares = min(os.cpu_count() or 1, 8)
    script = Path(__file__).with_name("compiling.py")
    nowhere = subprocess.DEVNULL
    low = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)  # Windows has no nice
    return [
        subprocess.Popen(
            [str(python()), "-I", str(script), str(share), str(shares), *map(str, _site_packages())],
            stdin=nowhere,
            stdout=nowhere,
            stderr=nowhere,
            creationflags=low,
        )
        for share in range(shares)
    ]


@contextmanager
def prepared(extras: frozenset[str]) -> Iterator[bool]:
    """`prepare`, and whether that began something: waited for at the end, or stopped by an exception."""
    compiling = prepare(extras)
    try:
        yield bool(compiling)
    except BaseException:
        for process in compiling:
            process.terminate()
        raise
    finally:
        for process in compiling:
            process.wait()

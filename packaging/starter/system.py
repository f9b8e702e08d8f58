"""What Qt needs from the operating system: libraries, a font, a screen."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import Any

from starter.project import StartError, qt_libraries, say


def need_screen() -> None:
    """
    Raises:
        StartError: there is no screen to open a window on.
    """
    known = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in known):
        raise StartError(
            "Diffusion Studio opens a window, and there is no screen here: DISPLAY and WAYLAND_DISPLAY "
            "are not set. Log in at a desktop or with `ssh -X`, or put `xvfb-run` before the command. "
            "Training and sampling need no screen: see `.venv/bin/diffusion-studio --help`."
        )


def need_libraries(*, window: bool) -> None:
    """Installs the libraries that Qt misses where that can be done without asking, else names the command.

    With `window` those of the X11 plugin count too, if X11 is what Qt will use.

    Raises:
        StartError: one is missing without which Qt cannot start.
    """
    missing = qt_libraries().missing()
    if missing and _install(missing):
        missing = qt_libraries().missing()
    if not missing:
        return
    names = ", ".join(library.soname for library in missing)
    advice = f"Qt misses {names}. Install with:\n  {_shown_command(missing)}"
    if any(_is_needed(library, x11=window and _uses_x11()) for library in missing):
        raise StartError(advice)
    say(advice)


def _is_needed(library: Any, *, x11: bool) -> bool:
    return library is not qt_libraries().FONTS and (x11 or not library.x11_only)


def _uses_x11() -> bool:
    platform = os.environ.get("QT_QPA_PLATFORM", "")
    return platform.startswith("xcb") or not (platform or os.environ.get("WAYLAND_DISPLAY"))


def _command(missing: tuple[Any, ...]) -> list[str]:
    family = qt_libraries().this_linux()
    return list(qt_libraries().install_command(missing, family))


def _shown_command(missing: tuple[Any, ...]) -> str:
    command = _command(missing)
    return f"sudo {shlex.join(command)}" if command else "your system's package manager"


def _install(missing: tuple[Any, ...]) -> bool:
    """Whether a Debian or Ubuntu that lets us installed the packages of `missing`."""
    root = _root_prefix()
    command = _command(missing)
    if root is None or command[:1] != ["apt-get"]:
        return False
    say(f"Installing system libraries for Qt: {' '.join(command[4:])} …")
    return _apt([*root, *command]) or (_apt([*root, "apt-get", "update"]) and _apt([*root, *command]))


def _apt(command: list[str]) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(command, env=environment, capture_output=True).returncode == 0
    except OSError:
        return False


def _root_prefix() -> list[str] | None:
    """What to put before a command to run it as root without a question; None if that cannot be had."""
    if not hasattr(os, "geteuid"):
        return None
    if os.geteuid() == 0:
        return []
    # sudo strips the environment, so apt's switch against questions is set behind it.
    prefix = ["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive"]
    return prefix if _apt([*prefix, "true"]) else None

"""Opens the window, or hands over to the command line. Imports nothing heavy before the first paint."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable
from functools import partial

from diffusion_studio.cli.commands import COMMANDS, COMPLETE, Command
from diffusion_studio.core.importing import ended_by_ctrl_c

SCREENSHOTS = Command(
    "diffusion_studio.screenshots",
    "Save pictures of every page, after training a small model on the digits.",
)
ALL = {**COMMANDS, "screenshots": SCREENSHOTS}
OPTIONS = ("--help", "-h", "--version", "--completion")


def main() -> int:
    """The console script `diffusion-studio`."""
    try:
        with ended_by_ctrl_c():
            run = _begin()
        return run()
    finally:
        gc.freeze()  # or Python looks through all that torch has imported once more: a second at the end


def _begin() -> Callable[[], int]:
    """Imports what is asked for; what is left to do."""
    from diffusion_studio.engine.files import places
    from diffusion_studio.engine.machine.torch_libraries import load_first

    load_first()
    if "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(places.torch_dir())
    arguments = sys.argv[1:]
    first = arguments[0].partition("=")[0] if arguments else ""
    if first in (*ALL, *OPTIONS) or COMPLETE in os.environ:
        from diffusion_studio.cli.program import main as run_command

        if first == "screenshots":
            _speak("en")  # but for what the environment says: pictures do not hang on who takes them
        return partial(run_command, arguments, ALL)
    return _window(arguments)


def _window(arguments: list[str]) -> Callable[[], int]:
    try:
        importlib.import_module("PySide6")
    except ModuleNotFoundError:
        print(
            "The window needs PySide6, which is not installed: pip install 'diffusion-studio[gui]' adds it. "
            "Training and sampling work without it; see diffusion-studio --help.",
            file=sys.stderr,
        )
        return lambda: 1
    from diffusion_studio.engine.files import places
    from diffusion_studio.viewmodels.remembered import glance

    _speak(glance(places.settings_dir() / "window.json", "language"))
    from diffusion_studio.app import run

    return partial(run, arguments)


def _speak(setting: object) -> None:
    """The language of the window, before anything with sentences is imported."""
    from diffusion_studio.widgets.look.language import take_up

    take_up(setting)


if __name__ == "__main__":
    sys.exit(main())

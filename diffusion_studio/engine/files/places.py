"""Where the product keeps its files. `DIFFUSION_STUDIO_HOME` puts all of them under one folder."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import platformdirs

APP = "diffusion-studio"
HOME_VARIABLE = "DIFFUSION_STUDIO_HOME"


def runs_dir() -> Path:
    """The folder of runs, unless the person chose another one."""
    return _place("runs", platformdirs.user_data_path(APP, appauthor=False) / "runs")


def cache_dir() -> Path:
    """What can be deleted at any time and is computed again: decoded images, rendered formulas."""
    return _place("cache", platformdirs.user_cache_path(APP, appauthor=False))


def torch_dir() -> Path:
    """Where torch makes a folder for compiled code when it is imported: in the cache, not among everybody's
    temporary files; where the cache cannot be written, in a folder that goes with the process."""
    place = cache_dir() / "torch"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        try:
            place = Path(tempfile.mkdtemp(prefix=f"{APP}-"))
        except OSError:  # nothing at all can be written: torch says so only if it has to compile something
            return place
        atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def settings_dir() -> Path:
    """The window's own settings: layout, theme, recent folders."""
    return _place("settings", platformdirs.user_config_path(APP, appauthor=False))


def log_dir() -> Path:
    """Log files and crash reports."""
    return _place("logs", platformdirs.user_log_path(APP, appauthor=False))


def at_home(name: str | Path) -> Path:
    """Where a name leads: `~` is the home; of a person who is not known here it is a name like any other."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def is_something(path: Path) -> bool:
    """Whether there is something at `path`; not where that is no name that a file can have."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """The same of a folder."""
    return is_something(path) and path.is_dir()


def _place(name: str, default: Path) -> Path:
    """`default`, or the folder `name` under the home that the environment sets. Nothing is created."""
    home = os.environ.get(HOME_VARIABLE, "")
    return at_home(home).absolute() / name if home else default

"""The checkout: where things are, and the one module shared with the product."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "packaging" / "constraints.txt"


class StartError(Exception):
    """Something a person has to know; the message is all that is shown."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def qt_libraries() -> ModuleType:
    """The package's module of that name, loaded by its path because the package is not installed yet."""
    name = "diffusion_studio_qt_libraries"
    if name not in sys.modules:
        path = ROOT / "diffusion_studio" / "engine" / "machine" / "qt_libraries.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]

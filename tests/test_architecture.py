"""The rules of `docs/ARCHITECTURE.md`, checked on the source, and the checker checked on a bad one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import diffusion_studio
from support import refusals, sizes
from support.architecture import violations

PACKAGE = Path(diffusion_studio.__file__).parent

BAD = {
    "core/steps/a.py": ("from ...engine import b", "core must not import engine"),
    "core/process/b.py": (
        "def late():\n    import diffusion_studio.pages.main",
        "core must not import pages",
    ),
    "core/curves.py": ("import PySide6.QtCore", "core must not import Qt"),
    "core/theory/d.py": (
        "import importlib\nimportlib.import_module('diffusion_studio.cli')",
        "core must not import cli",
    ),
    "models/a.py": ("from diffusion_studio.data import folder", "models must not import data"),
    "data/a.py": ("from diffusion_studio import models", "data must not import models"),
    "data/b.py": ("import numpy as np\nnp.load('x', allow_pickle=True)", "no pickle"),
    "engine/runs/a.py": ("from pickle import load", "no pickle"),
    "engine/runs/b.py": ("import torch\ntorch.load('x')", "no pickle"),
    "engine/runs/c.py": ("from torch import load", "reads pickles"),
    "engine/runs/d.py": ("def f(p):\n    return p.DDPMPipeline.from_pretrained('x')", "from_pretrained"),
    "engine/runs/e.py": ("from pyqtgraph import PlotItem", "engine must not import Qt"),
    "viewmodels/a.py": ("from PySide6.QtWidgets import QWidget", "only PySide6.QtCore"),
    "viewmodels/b.py": ("from PySide6 import QtGui", "only PySide6.QtCore"),
    "viewmodels/c.py": ("from ..widgets.plot import Plot", "viewmodels must not import widgets"),
    "widgets/a.py": ("import torch", "never tensors"),
    "widgets/b.py": ("from diffusion_studio.viewmodels.job import Job", "widgets must not import viewmodels"),
    "widgets/c.py": ("def ask(dialog):\n    dialog.exec()", "nothing blocks"),
    "pages/a.py": (
        "from PySide6.QtWidgets import QFileDialog\nQFileDialog.getOpenFileName()",
        "nothing blocks",
    ),
    "pages/b.py": ("from diffusion_studio.app import build", "pages must not import app"),
    "app.py": ("from diffusion_studio.cli.program import main", "app must not import cli"),
    "cli/a.py": ("from ..viewmodels import job", "cli must not import viewmodels"),
    "cli/b.py": ("from PySide6 import QtCore", "cli must not import Qt"),
    "helpers/a.py": ("", "not in the map of layers"),
    "engine/attic/a.py": ("", "attic is not in the map of the rooms of engine"),
    "core/loose.py": ("", "loose is not in the map of the rooms of core"),
    "engine/files/a.py": ("from ..runs.run import Run", "in engine, files must not import runs"),
    "engine/machine/a.py": ("from diffusion_studio.engine.runs import run", "machine must not import runs"),
    "engine/plane/a.py": ("from diffusion_studio.engine import training", "plane must not import training"),
    "engine/jobs/a.py": (
        "def late():\n    from ..chains.trajectory import Trajectory",
        "in engine, jobs must not import chains",
    ),
    "core/process/a.py": ("from ..denoisers.exact import a", "in core, process must not import denoisers"),
    "core/samplers/a.py": ("from diffusion_studio.core import chain", "samplers must not import chain"),
    "__init__.py": ("from diffusion_studio.core import steps", "must not import core"),
}

GOOD = {
    "core/steps/a.py": "from . import b\nfrom .b import c\nimport torch, math\nfrom ..denoisers.a import d",
    "models/a.py": "from ..core.chain import b",
    "data/a.py": "import numpy as np\nnp.load('x', allow_pickle=False)",
    "engine/runs/a.py": "from diffusion_studio import __version__\nfrom diffusion_studio.models.a import b\n"
    "from ..files import c",
    "viewmodels/a.py": "from PySide6.QtCore import Qt\nfrom PySide6 import QtCore\nfrom ..engine import b",
    "widgets/a.py": "import pyqtgraph\nfrom ..engine.a import b\ndef f(d):\n    d.open()\n    d.drag.exec()",
    "pages/a.py": "from ..widgets import a\nfrom ..viewmodels import a",
    "app.py": "from .pages import a\ndef main(application):\n    return application.exec()",
    "cli/a.py": "from ..engine import a\nfrom ..core import b",
    "__main__.py": "def main():\n    from .app import main\n    from .cli.program import main",
    "__init__.py": "__version__ = '1'",
}


def test_that_the_package_keeps_to_the_rules():
    broken = violations(PACKAGE)
    assert not broken, "\n" + "\n".join(broken)


def test_that_no_words_of_a_fault_reach_a_person():
    found = refusals.violations(PACKAGE)
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("name", BAD)
def test_that_a_broken_rule_is_found(name, tmp_path):
    source, complaint = BAD[name]
    found = violations(_package(tmp_path, {name: source}))
    assert len(found) == 1
    assert found[0].startswith(name)
    assert complaint in found[0]


def test_that_all_that_is_allowed_passes(tmp_path):
    assert violations(_package(tmp_path, GOOD)) == []


def test_that_a_folder_of_too_many_modules_is_found(tmp_path):
    files = {f"widgets/plots/m{number}.py": "" for number in range(17)} | {"widgets/plots/__init__.py": ""}
    assert violations(_package(tmp_path, files)) == [
        "widgets/plots: holds 17 modules, more than 16; give it rooms"
    ]


def test_that_every_folder_of_modules_is_a_package():
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


def test_that_no_part_is_too_large():
    found = list(sizes.violations(sizes.parts(PACKAGE)))
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(("kind", "most"), sizes.MOST_LINES.items())
def test_that_a_part_that_is_too_large_is_found(kind, most, tmp_path):
    head = {"file": "x = 1\n", "class": "class A:\n", "function": "def f():\n"}[kind]
    line = "x = 1\n" if kind == "file" else "    x = 1\n"
    for lines, expected in ((most, 0), (most + 1, 1)):
        package = _package(tmp_path, {"core/a.py": head + (lines - 1) * line})
        found = [words for words in sizes.violations(sizes.parts(package)) if words.startswith("core/a.py")]
        assert len(found) == expected
        assert all(f"{kind}" in words and f"more than {most}" in words for words in found)


def test_that_functions_that_are_long_on_the_whole_are_found(tmp_path):
    def told(*lengths: int) -> list[str]:
        source = "".join(f"def f{i}():\n" + (n - 1) * "    x = 1\n" for i, n in enumerate(lengths))
        return list(sizes.violations(sizes.parts(_package(tmp_path, {"core/a.py": source}))))

    assert told(*11 * (8,), *8 * (30,), 60) == []
    assert told(*9 * (9,)) == ["half of all functions have more than 8 lines"]
    assert told(*8 * (8,), 31, 31) == ["more than one function in ten has over 30 lines"]


def test_that_nothing_below_the_window_imports_qt():
    """Imports every such module where any import of Qt fails: what the source does not show, shows here."""
    script = "import sys, importlib\nsys.modules |= dict.fromkeys(('PySide6', 'shiboken6', 'pyqtgraph'))\n"
    script += "\n".join(f"importlib.import_module({name!r})" for name in _modules_without_qt())
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _modules_without_qt() -> list[str]:
    folders = ("core", "models", "data", "engine", "cli")
    paths = [path for folder in folders for path in sorted((PACKAGE / folder).rglob("*.py"))]
    relative = (path.relative_to(PACKAGE.parent).with_suffix("") for path in paths)
    return [".".join(part for part in path.parts if part != "__init__") for path in relative]


def _package(folder: Path, files: dict[str, str]) -> Path:
    package = folder / "diffusion_studio"
    for name, source in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(source, encoding="utf-8")
    return package

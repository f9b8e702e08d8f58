"""What tests of the command line share: a tiny model's options, and what was said on stderr."""

from __future__ import annotations

import sys

_TINY = (
    "model.width=8", "model.multipliers=1,2", "model.layers=1", "model.attention=0", "diffusion.steps=50",
    "training.batch_size=16", "training.preview_count=0", "training.precision=fp32",
)  # fmt: skip
SETS = [word for pair in _TINY for word in ("--set", pair)]

_WITHOUT_QT = """
import sys
class NoQt:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("PySide6", "shiboken6", "pyqtgraph"):
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, NoQt())
from diffusion_studio.__main__ import main
sys.argv[0] = "diffusion-studio"
sys.exit(main())
"""


def without_qt(*arguments: object) -> list[str]:
    """The command that runs the program in a process of its own, where any import of Qt fails."""
    return [sys.executable, "-c", _WITHOUT_QT, *map(str, arguments)]


def complaint(errors: str) -> str:
    """The one sentence on stderr; bars are not sentences."""
    lines = [line for line in errors.splitlines() if line.strip() and "━" not in line]
    assert len(lines) == 1, errors
    assert "Traceback" not in errors
    return lines[0]

"""Byte-compiles its share of what lies in folders, and gives way to whatever else runs.

    python compiling.py SHARE SHARES FOLDER ...

For the Python of `.venv`, started once for each core. Pip would do it on one core, and people wait for it.
"""

from __future__ import annotations

import compileall
import os
import sys
from pathlib import Path


def main(share: int, shares: int, folders: list[str]) -> None:
    if hasattr(os, "nice"):
        os.nice(10)
    files = sorted(path for folder in folders for path in Path(folder).rglob("*.py"))
    for path in files[share::shares]:
        compileall.compile_file(path, quiet=2)  # some packages carry templates, which are no Python


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

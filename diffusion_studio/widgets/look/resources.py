"""Where the files that travel with the application lie."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[2]


@cache
def resource(path: str) -> Path:
    """The file `path` of the resources, in an installed package or in a source checkout, or of the package.

    Raises FileNotFoundError when it is in none of them.
    """
    for root in (_PACKAGE / "resources", _PACKAGE.parent / "resources", _PACKAGE):
        if (root / path).exists():
            return root / path
    raise FileNotFoundError(f"no resource {path!r}")

"""Measures the parts of a package and lists those that are too large, as `CONTRIBUTING.md` says."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

MOST_LINES = {"file": 400, "class": 250, "function": 60}
MEDIAN, NINE_OF_TEN = 8, 30  # lines of the functions


@dataclass(frozen=True)
class Part:
    """A file, or a class or function in it."""

    kind: str
    place: str
    name: str
    lines: int


def parts(package: Path) -> list[Part]:
    """Everything in the package's folder that has a size; functions inside functions too."""
    found = []
    for path in sorted(package.rglob("*.py")):
        text, place = path.read_text(encoding="utf-8"), path.relative_to(package).as_posix()
        found.append(Part("file", place, "", len(text.splitlines())))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                kind = "class" if isinstance(node, ast.ClassDef) else "function"
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                found.append(Part(kind, f"{place}:{node.lineno}", node.name, length))
    return found


def violations(found: Iterable[Part]) -> Iterator[str]:
    """One line for each part that is too large, and for functions that are too long on the whole."""
    known = list(found)
    for part in known:
        if part.lines > MOST_LINES[part.kind]:
            what = f"{part.kind} {part.name}".rstrip()
            yield f"{part.place}: {what} has {part.lines} lines, more than {MOST_LINES[part.kind]}"
    lengths = sorted(part.lines for part in known if part.kind == "function")
    if lengths and median(lengths) > MEDIAN:
        yield f"half of all functions have more than {MEDIAN} lines"
    if lengths and lengths[int(0.9 * len(lengths))] > NINE_OF_TEN:
        yield f"more than one function in ten has over {NINE_OF_TEN} lines"

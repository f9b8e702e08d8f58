"""Reads a package's source for words of an exception that would reach a person, not meant for one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TOLD = ("Refused", "Cancelled", "OSError", "FileNotFoundError", "Error", "Timeout")
"""Exceptions that are caught to be told: refusals (and every class that is called a …Error of ours), what the
system says of a file, `sqlite3.Error`."""
OURS = ("BadImage", "RunError", "DataError", "CheckpointError", "ClassifierError")
UNHEARD = ("log.", ".add_note")  # what is said there reaches the log only
BARE = ("widgets", "data/cache.py", "engine/runs/metrics.py")
"""Where a ValueError is a mistake of the caller, or is caught in the same file as a value left out."""
DIAGNOSIS = ("engine/machine/doctor.py",)  # tells of other libraries in their own words
PYDANTIC = "core/describe.py"  # the one place that asks it


def violations(package: Path) -> list[str]:
    """One line for each: `viewmodels/x.py:3: ...`."""
    found: list[str] = []
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            lines = [*_raised(node, name), *_shown(node, name), *_validated(node, name)]
            found += [f"{name}:{getattr(node, 'lineno', 0)}: {line}" for line in lines]
    return found


def _raised(node: ast.AST, name: str) -> Iterator[str]:
    """What refuses says so."""
    if isinstance(node, ast.Raise) and not name.startswith(BARE):
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if isinstance(raised, ast.Name) and raised.id == "ValueError":
            yield "a refusal is a Refused, not a bare ValueError"


def _shown(node: ast.AST, name: str) -> Iterator[str]:
    """Of what is caught, only what was meant for a person becomes text."""
    if not isinstance(node, ast.ExceptHandler) or not node.name or name in DIAGNOSIS:
        return
    if all(kind in (*TOLD, *OURS) for kind in _kinds(node.type)):
        return
    for inner in node.body:
        if _as_text(inner, node.name):
            yield f"the words of {' or '.join(_kinds(node.type))} are shown as if they were a sentence"


def _kinds(node: ast.expr | None) -> list[str]:
    nodes = node.elts if isinstance(node, ast.Tuple) else [node]
    return [part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "") for part in nodes]


def _as_text(node: ast.AST, name: str) -> bool:
    """Whether `str(name)`, `name.args` or an f-string with it stands anywhere but in the log."""
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        if called.startswith(UNHEARD[0]) or called.endswith(UNHEARD[1]):
            return False
        if called in ("str", "repr", "format") and any(_is(arg, name) for arg in node.args):
            return True
    if isinstance(node, ast.FormattedValue) and _is(node.value, name):
        return True
    if isinstance(node, ast.Attribute) and node.attr == "args" and _is(node.value, name):
        return True
    return any(_as_text(child, name) for child in ast.iter_child_nodes(node))


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _validated(node: ast.AST, name: str) -> Iterator[str]:
    """Pydantic's complaints become sentences in one place."""
    asks = isinstance(node, ast.Attribute) and node.attr.startswith("model_validate")
    if name != PYDANTIC and (asks or (isinstance(node, ast.Name) and node.id == "ValidationError")):
        yield "what a person or a file gives is checked by `validated`"

"""Reads the citations of the code and the names of `docs/REFERENCES.md`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

CARRIERS = {
    "knob": ("source", None),
    "Equation": ("source", 3),
    "Erratum": ("place", 1),
    "TourCard": ("source", 2),
}
"""Calls that carry a citation: by which keyword, at which position."""
NO_CITATION = ("drawn by hand", "as given")  # what a person makes has no source

_NUMBER = r"(?:[A-Z]?[\d.]*\d(?:–\d+)?|[A-Z])"
_KINDS = (
    r"(?:eq\.|algorithms?|appendix|corollary|definition|figure|footnote|lemma|proposition|remark|table"
    r"|theorem)"
)
_PLACE = re.compile(
    rf"(?:after )?(?:{_KINDS} {_NUMBER}(?: (?:and|without lines) {_NUMBER})?|§{_NUMBER})"
    rf"|{_NUMBER}|code|corrected|as printed|noise form of μ"
)
_NAME, _YEAR = r"[A-ZÀ-Ž][\w-]*[a-zà-ž]", r"(?:19|20)\d\d\b(?![-–]\d)"
_BY_YEAR = re.compile(rf"\b{_NAME}(?: et al\.| & {_NAME}) {_YEAR}|(?<=\(){_NAME} {_YEAR}(?=[),;])")
_BEFORE_EQUATION = re.compile(r"(.{0,40}?)(?:,? after|,)? eq\. \d")


def keys(text: str) -> frozenset[str]:
    """The first column of the tables of `docs/REFERENCES.md`."""
    rows = (line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| "))
    return frozenset(rows) - {"cited as"}


def wrong(source: str, known: frozenset[str]) -> list[str]:
    """The parts of `source` that are no citation: an unknown name, or a place that cannot be read."""
    if source in NO_CITATION:
        return []
    return [part for part in source.split("; ") if not _is_citation(part, known)]


def _is_citation(part: str, known: frozenset[str]) -> bool:
    for key in known:
        between = ", " if key[-4:].isdigit() else " "
        if part == key or (
            part.startswith(key + between)
            and all(_PLACE.fullmatch(place) for place in part.removeprefix(key + between).split(", "))
        ):
            return True
    return False


def sources(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of every source in a module: of its knobs, members, equations, errata and cards."""
    for node in ast.walk(tree):
        for value in (*_of_member(node), *_of_call(node)):
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.lineno, value.value


def _of_member(node: ast.AST) -> Iterator[ast.expr]:
    """`source: ClassVar[str] = …`"""
    if isinstance(node, ast.AnnAssign) and ast.unparse(node).startswith("source: ClassVar"):
        yield from (value for value in (node.value,) if value is not None)


def _of_call(node: ast.AST) -> Iterator[ast.expr]:
    """`knob(…, source=…)`, `Equation(…)`, `Erratum(…)`, `TourCard(…)`"""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CARRIERS:
        keyword, position = CARRIERS[node.func.id]
        yield from (each.value for each in node.keywords if each.arg == keyword)
        if position is not None and len(node.args) > position:
            yield node.args[position]


def unknown_names(text: str, known: frozenset[str]) -> list[str]:
    """What prose cites and the references lack: papers by author and year, equations of a text."""
    flat = " ".join(text.replace("#", " ").split())
    papers = [name for name in _BY_YEAR.findall(flat) if name not in known]
    return papers + [
        match[0]
        for match in _BEFORE_EQUATION.finditer(flat)
        if not any(match[1].endswith(key) for key in known)
    ]

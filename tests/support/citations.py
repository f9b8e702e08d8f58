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
    "Algorithm": ("source", 1),
    "Identity": ("source", 2),
}
"""Calls that carry a citation: by which keyword, at which position."""
NO_CITATION = ("drawn by hand", "as given")  # what a person makes has no source

NUMBERED: dict[str, dict[str, frozenset[str]]] = {
    "Stratos": {
        "eq.": frozenset(map(str, range(1, 26))), "lemma": frozenset({"2.1", "3.1", "3.3"}),
        "corollary": frozenset({"3.2"}), "footnote": frozenset("12"),
        "§": frozenset({"1", "1.1", "2", "2.1", "2.2", "2.3", "2.4", "3", "3.1", "3.2", "3.3"}),
    },
    "Luo": {"eq.": frozenset(map(str, range(1, 171))), "figure": frozenset("123456")},
    "Course": {
        "eq.": frozenset(f"1.{k}" for k in range(1, 6)) | frozenset(f"2.{k}" for k in range(1, 11)),
        "definition": frozenset({"1.1", "2.1"}),
        "proposition": frozenset({"1.2", "1.5", "1.9", "2.2", "2.3"}),
        "remark": frozenset({"1.3", "1.4", "1.6", "1.7", "1.8", "2.6", "2.7", "2.8"}),
        "lemma": frozenset({"2.4", "2.5"}), "algorithm": frozenset("123"), "figure": frozenset("123"),
        "§": frozenset({"1.1", "1.2", "1.2.1", "1.2.2", "1.2.3", "1.2.4", "2.1", "2.2", "2.3", "2.3.1",
                        "2.3.2", "2.4", "2.5"}),
    },
    "Kuppa": {
        "eq.": frozenset(f"2.{k}" for k in range(1, 21)), "theorem": frozenset({"2.5"}),
        "§": frozenset({"2.1", *(f"2.1.{k}" for k in range(1, 7))}),
    },
}  # fmt: skip
"""The numbers that the texts themselves print, by kind."""

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
_EQUATION = re.compile(r"(?:,? after|,)? eq\. \d")
_BEFORE = 40  # letters in front of an equation, in which its text is named


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
    found = [name for name in _BY_YEAR.findall(flat) if name not in known]
    last = 0
    for match in _EQUATION.finditer(flat):
        before, last = flat[max(last, match.start() - _BEFORE) : match.start()], match.end()
        if not any(before.endswith(key) for key in known):
            found.append(before + match[0])
    return found


def unprinted(source: str) -> list[str]:
    """The numbers in `source` that the text that it names does not print."""
    return [
        f"{name} {kind} {number}"
        for part in source.split("; ")
        for name, known in NUMBERED.items()
        if part.startswith(f"{name} ")
        for kind, number in _numbers(part.removeprefix(f"{name} "))
        if number not in known.get(kind, ())
    ]


def _numbers(places: str) -> Iterator[tuple[str, str]]:
    """(kind, number) of each place: "eq. 17–19, remark 2.8" has four."""
    kind = ""
    for place in places.split(", "):
        found = re.match(rf"(?:after )?({_KINDS}|§)", place)
        kind = found[1].removesuffix("s") if found else kind
        for first, last in re.findall(r"(\d[\d.]*\d|\d)(?:–([\d.]*\d))?", place):
            whole = last.isdigit() and first.isdigit()
            yield from (
                ((kind, str(k)) for k in range(int(first), int(last) + 1)) if whole else ((kind, first),)
            )
            if last and not whole:
                yield kind, last


def in_prose(text: str) -> list[str]:
    """The citations of numbered texts that stand in prose, each as a source."""
    number = r"\d[\d.]*\d|\d"
    some = rf"(?:{number})(?:–(?:{number}))?"
    return [
        f"{name} {place}"
        for name in NUMBERED
        for place in re.findall(rf"\b{name} ((?:after )?(?:{_KINDS} |§){some}(?:, {some}(?![\w%]))*)", text)
    ]

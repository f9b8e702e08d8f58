"""What the code cites is in docs/REFERENCES.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import diffusion_studio
from tests.support.citations import in_prose, keys, sources, unknown_names, unprinted, wrong

ROOT = Path(__file__).parents[1]
PACKAGE = Path(diffusion_studio.__file__).parent
KNOWN = keys((ROOT / "docs" / "REFERENCES.md").read_text(encoding="utf-8"))
MODULES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if path.name != "REFERENCES.md"
}


TEXTS = {name: path.read_text(encoding="utf-8") for name, path in (MODULES | PAGES).items()}


@pytest.fixture(scope="module")
def cited() -> dict[str, list[tuple[int, str]]]:
    """Line and text of every source, by module."""
    return {name: list(sources(ast.parse(TEXTS[name]))) for name in MODULES}


def test_that_every_source_names_a_reference(cited):
    assert sum(map(len, cited.values())) > 150
    assert [
        (f"{name}:{line}", bad)
        for name, found in cited.items()
        for line, source in found
        for bad in wrong(source, KNOWN)
    ] == []


def test_that_prose_cites_what_the_references_know():
    assert {name: bad for name, text in TEXTS.items() if (bad := unknown_names(text, KNOWN))} == {}
    shorthand = re.compile(r"\b(?:[SLK] \d|C \d\.|MATHS)")  # that nobody else knows
    assert {name: found[0] for name, text in TEXTS.items() if (found := shorthand.search(text))} == {}


def test_that_every_number_is_one_that_the_text_prints(cited):
    """Equations, lemmas, remarks, algorithms, figures and sections of the texts that are followed."""
    for name, text in TEXTS.items():
        found = [*in_prose(text), *(source for _, source in cited.get(name, ()))]
        assert [bad for source in found for bad in unprinted(source)] == [], name


@pytest.mark.parametrize(
    ("source", "bad"),
    [
        ("Luo eq. 171", ["Luo eq. 171"]), ("Luo eq. 168–172; Stratos eq. 25", ["Luo eq. 171", "Luo eq. 172"]),
        ("Course eq. 2.4, 2.11, remark 2.8", ["Course eq. 2.11"]),
        ("Kuppa theorem 2.6", ["Kuppa theorem 2.6"]),
        ("Stratos §3.4", ["Stratos § 3.4"]), ("Luo after eq. 158", []),
        ("Course lemma 2.5, remark 2.8", []),
        ("Course algorithm 4", ["Course algorithm 4"]), ("Ho et al. 2020, eq. 999", []),
    ],
)  # fmt: skip
def test_that_a_number_that_no_text_prints_is_found(source: str, bad: list[str]):
    assert unprinted(source) == bad


@pytest.mark.parametrize(
    "source",
    [
        "Luo eq. 130",
        "Luo eq. 115–151",
        "Luo eq. 157, 161",
        "Ho et al. 2020, appendix B",
        "Ho et al. 2020, §3.2; DDIM eq. 16",
        "Stratos lemma 3.1",
        "Stratos eq. 25, as printed",
        "VDM §I.2",
        "EDM algorithm 1 without lines 6–8",
        "Vincent 2011",
        "drawn by hand",
    ],
)
def test_that_a_citation_is_read(source: str):
    assert wrong(source, KNOWN) == []


@pytest.mark.parametrize(
    "source",
    ["", "L 130", "Luo 130a", "Luo, eq. 130", "Ho et al. 2020 eq. 2", "Nobody 2020", "Luo eq. 130; S 18"],
)
def test_that_what_is_no_citation_is_found(source: str):
    assert wrong(source, KNOWN) != []


def test_that_names_in_prose_are_found():
    known = frozenset({"Luo", "Vincent 2011", "Ho et al. 2020"})
    assert unknown_names("(Vincent 2011), Luo eq. 3, Ho et al. 2020, eq. 4, and Luo after eq. 5", known) == []
    assert unknown_names("Song\n    et al. 2021 say", known) == ["Song et al. 2021"]
    assert unknown_names("as L eq. 45 prints", known) == ["as L eq. 4"]


def test_that_every_picture_is_shown_and_every_picture_that_is_shown_is_there():
    pictures = {path.name for path in (ROOT / "docs" / "images").iterdir()}
    shown = re.findall(r"\]\((?:docs/)?images/([^)]+)\)", "".join(TEXTS[name] for name in PAGES))
    assert sorted(pictures) == sorted(set(shown))

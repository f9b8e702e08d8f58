"""Writes what the documents say of the families: `docs/FAMILIES.md`, and the counts in the README.

python -m tests.support.family_docs
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from diffusion_studio.core.describe import Choice, Knob, Member, families, knobs, members, variants
from diffusion_studio.core.process.spacing import Spacing
from diffusion_studio.core.samplers import Sampler
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.engine.runs.autoencoder_config import HVAEConfig
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.viewmodels.plane.tour.cards import CARDS

ROOT = Path(__file__).parents[2]
PAGES: tuple[tuple[str, Choice], ...] = (
    ("Train", RunConfig()),
    ("Sample", SampleSpec()),
    ("2-D", PlaneSpec()),
    ("Autoencoder", HVAEConfig()),
)
NUMBERS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
HEAD = (
    "# Families\n\nEverything that can be chosen, as its class describes it: one class is a member, and "
    "nothing else lists it. Symbols are those of [NOTATION.md](NOTATION.md), sources those of "
    "[REFERENCES.md](REFERENCES.md). This page is written by `python -m tests.support.family_docs`, and a "
    "test fails when it is not up to date."
)


def families_page() -> str:
    """`docs/FAMILIES.md`: every family with its members and their parameters."""
    places: dict[type[Member], list[str]] = {}
    for page, choice in PAGES:
        for path, base in {p: b for v in variants(choice) for p, b in families(v).items()}.items():
            places.setdefault(base, []).append(f"`{path}` on the {page} page")
    parts = [HEAD]
    for base, where in places.items():
        parts += [f"## {base.family}", f"{', '.join(where)}.", _members_table(base)]
        if rows := list(_parameters(base)):
            parts.append("\n".join(["| | parameter | | values | source |", "|---|---|---|---|---|", *rows]))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _members_table(base: type[Member]) -> str:
    rows = ["| kind | | what it is | formula | source |", "|---|---|---|---|---|"]
    for kind, cls in members(base).items():
        symbols = f"; {cls.symbols}" if cls.symbols else ""
        rows.append(_row(f"`{kind}`", cls.title, cls.summary, _math(cls.formula) + symbols, cls.source))
    return "\n".join(rows)


def _parameters(base: type[Member]) -> Iterator[str]:
    for kind, cls in members(base).items():
        for knob in knobs(cls()):
            if "." not in knob.path:
                what = f"{knob.title}: {knob.help}" + (f" {_math(knob.formula)}" if knob.formula else "")
                name = f"`{knob.path}` {knob.symbol}".strip()
                yield _row(f"`{kind}`", name, what, _values(knob), knob.source)


def _values(knob: Knob) -> str:
    if knob.options:
        return ", ".join(f"`{value}`" for value, _ in knob.options)
    ends = ("" if end is None else f"{end:g}" for end in (knob.low, knob.high))
    return "" if knob.low is None and knob.high is None else " … ".join(ends)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.strip().replace("|", "\\|") for cell in cells) + " |"


def _math(latex: str) -> str:
    """LaTeX as it may stand in a table of Markdown."""
    return "$" + latex.replace(r"\|", r"\Vert ").replace("|", r"\vert ") + "$"


def with_counts(readme: str) -> str:
    """The README with the numbers of today.

    Raises:
        ValueError: a sentence with a number is not there.
    """
    rules = sum(not cls.is_given for cls in members(Spacing).values())
    for count, sentence in (
        (len(members(Sampler)), r"(\w+)( samplers, )"),
        (rules, r"(\w+)( rules for the times)"),
        (len(CARDS), r"(\w+)( cards of a guided tour)"),
    ):
        found = re.search(sentence, readme)
        if found is None:
            raise ValueError(f"The README says nowhere how many: {sentence}")
        word = NUMBERS[count] if count < len(NUMBERS) else str(count)
        word = word.capitalize() if found[1][0].isupper() else word
        readme = f"{readme[: found.start()]}{word}{found[2]}{readme[found.end() :]}"
    return readme


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(with_counts(readme.read_text(encoding="utf-8")), encoding="utf-8")
    (ROOT / "docs" / "FAMILIES.md").write_text(families_page(), encoding="utf-8")

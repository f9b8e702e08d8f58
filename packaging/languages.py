"""Brings the catalogues of the languages up to the sentences in the code: `python packaging/languages.py`.

For each layer of the program, and each language, `resources/languages/CODE/LAYER.po` gets the sentences that
are new (to be translated) and loses those that are gone; `LAYER.mo`, which the program reads, is made of it.
With `--missing` it lists what is not translated and changes nothing.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "diffusion_studio"
LANGUAGES = ROOT / "resources" / "languages"
CODES = ("de",)
LAYERS = ("core", "data", "models", "engine", "viewmodels", "widgets", "pages")
REST = "app"  # the modules that stand above the layers
ENGLISH_ONLY = ("cli", "screenshots.py", "__main__.py")  # what is written to a terminal
UNDATED = datetime(2026, 1, 1, tzinfo=UTC)  # or the same catalogue would be another file each time
KEYWORDS = {"tr": None, "trc": ((1, "c"), 2), "plural": (1, 2)}


def sources(layer: str) -> list[Path]:
    """The modules whose sentences one catalogue holds."""
    if layer != REST:
        return sorted((PACKAGE / layer).rglob("*.py"))
    return [path for path in sorted(PACKAGE.glob("*.py")) if path.name not in ENGLISH_ONLY]


def sentences(layer: str) -> Catalog:
    """What stands in `tr`, `trc` and `plural` in a layer."""
    found = Catalog(fuzzy=False)
    for path in sources(layer):
        for _, text, _, context in extract_from_file("python", path, keywords=KEYWORDS):
            found.add(text, context=context)
    return found


def known(code: str, layer: str) -> Catalog:
    """The catalogue as it lies there; an empty one if there is none."""
    path = LANGUAGES / code / f"{layer}.po"
    if not path.exists():
        return Catalog(locale=code, fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=code)


def brought_up(code: str, layer: str) -> Catalog:
    """The catalogue with exactly the sentences of the code."""
    made, before = Catalog(locale=code, fuzzy=False, project="Diffusion Studio"), known(code, layer)
    for message in sentences(layer):
        if message.id:
            old = before.get(message.id, message.context)
            made.add(message.id, old.string if old is not None else "", context=message.context)
    return made


def missing(catalog: Catalog) -> Iterator[Message]:
    """What is not translated."""
    for message in catalog:
        strings = message.string if isinstance(message.string, tuple | list) else (message.string,)
        if message.id and not all(strings):
            yield message


def po(catalog: Catalog) -> bytes:
    """The catalogue as a file for translators."""
    file = io.BytesIO()
    write_po(file, catalog, width=110, omit_header=False, sort_output=True, include_lineno=False)
    dated = (
        "POT-Creation-Date",
        "PO-Revision-Date",
        "Generated-By",
        "Last-Translator",
        "Report-Msgid-Bugs-To",
    )
    lines = file.getvalue().decode().splitlines(keepends=True)
    kept = [
        line
        for line in lines
        if not line.startswith("#") and not line.startswith(tuple(f'"{d}' for d in dated))
    ]
    return "".join(kept).lstrip("\n").encode()


def mo(written: bytes, code: str) -> bytes:
    """The catalogue as the program reads it."""
    catalog = read_po(io.BytesIO(written), locale=code)
    catalog.creation_date = catalog.revision_date = UNDATED
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--missing", action="store_true", help="list what is not translated; change nothing")
    parser.add_argument("layers", nargs="*", help="only these")
    given = parser.parse_args()
    left = 0
    for code in CODES:
        for layer in given.layers or (*LAYERS, REST):
            catalog = brought_up(code, layer)
            todo = list(missing(catalog))
            left += len(todo)
            if given.missing:
                for message in todo:
                    print(f"{code}/{layer}: {message.id!r}")
            else:
                written = po(catalog)
                (LANGUAGES / code).mkdir(parents=True, exist_ok=True)
                (LANGUAGES / code / f"{layer}.po").write_bytes(written)
                (LANGUAGES / code / f"{layer}.mo").write_bytes(mo(written, code))
    print(f"{left} sentences are not translated.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

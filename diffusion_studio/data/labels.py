"""Labels of a folder's images: from metadata files, or from its sub-folders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.words import plural, tr
from diffusion_studio.data.imageset import Skipped, printable
from diffusion_studio.data.layout import Layout, Part, classes_by_folder, listed
from diffusion_studio.data.metadata import read_metadata
from diffusion_studio.data.scan import METADATA, FoundFile, Listing

_MANY = 20  # classes from which on hardly any has more than one picture by intention
_TABLE = re.compile(r"\.(csv|tsv|jsonl|parquet|arrow|xlsx?)$|(^|/)(metadata|labels)\.json$", re.IGNORECASE)
_NOTHING = {"nan", "none", "null", "n/a", "<na>"}  # how programs write what is missing


@dataclass(frozen=True)
class Labelling:
    """The class name of each file that has one, and how it was found.

    Args:
        how: one sentence.
        notes: what a person should know about it.
        report: metadata files that were not used, and why.
    """

    named: dict[str, str]
    how: str
    notes: tuple[str, ...] = ()
    report: tuple[Skipped, ...] = ()


def labels_for(root: Path, metadata: Sequence[FoundFile], files: Sequence[str], layout: Layout) -> Labelling:
    """The labels of `files`, which are all the pictures of all parts.

    Metadata files with the columns `file_name` and `label` take precedence, each for the pictures of its own
    folder and those below; pictures that they do not name have no label. Without one, folders are classes.
    """
    found = read_metadata(root, metadata, files)
    if found.named:
        how = tr("Classes come from {files}.", files=listed(found.used))
        notes = (*found.notes, *_without(files, found.named), *_alone(found.named), *_odd(found.named))
        return Labelling(found.named, how, notes, found.report)
    plain = {file: layout.plain[file] for file in files if file in layout.plain}
    named, notes = classes_by_folder(plain, layout.files("train"))
    how = tr("Classes come from the names of the folders.") if named else tr("There are no classes.")
    return Labelling(named, how, (*found.notes, *notes), found.report)


def _without(files: Sequence[str], named: dict[str, str]) -> list[str]:
    """A sentence about the pictures that the metadata give no label."""
    missing = [file for file in files if file not in named]
    if not missing:
        return []
    sentence = plural(
        "{n} of {all} pictures has no label there, first {name}.",
        "{n} of {all} pictures have no label there, first {name}.",
        len(missing),
        all=len(files),
        name=printable(missing[0]),
    )
    return [sentence]


def _alone(named: dict[str, str]) -> list[str]:
    """A sentence where all labels are the same."""
    names = {*named.values()}
    if len(names) != 1:
        return []
    return [tr("All labels are “{name}”: one class alone tells nothing apart.", name=printable(*names))]


def _odd(named: dict[str, str]) -> Iterator[str]:
    """Sentences where labels may not be what a person took them for."""
    names = {*named.values()}
    if len(names) >= _MANY and 2 * len(names) > len(named):
        yield tr(
            "There are {classes} classes for {count} pictures, first “{name}”: labels that name single "
            "pictures, or numbers that were measured, make no classes.",
            classes=len(names),
            count=len(named),
            name=printable(sorted_names(names)[0]),
        )
    for name in sorted(name for name in names if name.casefold() in _NOTHING):
        yield tr("The label “{name}” is taken for a class of that name, not for a missing one.", name=name)


def lost_classes(layout: Layout, named: dict[str, str], names: Sequence[str]) -> Iterator[str]:
    """Sentences about classes whose pictures cannot be read, or are all kept apart.

    Args:
        names: of the classes that are trained on.
    """
    kept, trained = _classes(layout, "apart", named), _classes(layout, "train", named)
    for name in sorted_names((kept | trained) - {*names}):
        unread, apart = tr("none of its pictures can be read"), tr("all its pictures are kept apart")
        why = unread if name in trained else apart
        yield tr("The class “{name}” is not trained on: {why}.", name=printable(name), why=why)


def _classes(layout: Layout, part: Part, named: dict[str, str]) -> set[str]:
    return {named[file] for file in layout.files(part) if file in named}


def unread_tables(listing: Listing, found: Labelling) -> Iterator[str]:
    """A table beside pictures without labels perhaps holds them."""
    tables = [f.path for f in listing.files if _TABLE.search(f.path)]
    if tables and not found.named:
        one, other = METADATA
        yield tr(
            "{tables} is not read: labels stand in {one} or {other}.",
            tables=listed(tables), one=one, other=other,
        )  # fmt: skip


def numbered(files: Sequence[str], named: dict[str, str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The label of each file as an index into the sorted class names (-1 where it has none), and those names.

    Numbers in names are sorted as numbers.
    """
    names = tuple(sorted_names({named[file] for file in files if file in named}))
    return indices(files, named, names), names


def indices(files: Sequence[str], named: dict[str, str], names: Sequence[str]) -> NDArray[np.int64]:
    """The label of each file as an index into `names`; -1 where it has none, or one that is not there."""
    index = {name: i for i, name in enumerate(names)}
    return np.array([index.get(named.get(file, ""), -1) if file in named else -1 for file in files], np.int64)


def sorted_names(names: Iterable[str]) -> list[str]:
    """Names in the order of a person: by their values if all are numbers, else numbers within them count."""
    known = sorted(names)
    if all(_NUMBER.fullmatch(name) for name in known):
        return sorted(known, key=float)
    return sorted(known, key=_natural)


_NUMBER = re.compile(r"\s*[-+]?\d{1,300}(\.\d*)?(e[-+]?\d{1,2})?\s*", re.ASCII | re.IGNORECASE)
_DIGITS = re.compile(r"(\d+)", re.ASCII)


def _natural(name: str) -> list[tuple[int, str]]:
    """class_2 before class_10: each run of digits counts by its length without zeros, then by itself."""
    parts = _DIGITS.split(name)
    return [
        (len(part.lstrip("0")), part.lstrip("0")) if number % 2 else (0, part)
        for number, part in enumerate(parts)
    ]

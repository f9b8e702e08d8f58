"""Labels of a folder's images: from a metadata file at its root, or from its sub-folders."""

from __future__ import annotations

import csv
import json
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.data.imageset import Skipped
from diffusion_studio.data.scan import FoundFile


def labels_for(
    root: Path, metadata: Sequence[FoundFile], files: Sequence[str]
) -> tuple[dict[str, str], list[Skipped]]:
    """The class name of each of `files` that has one, and a report of label files that were not used.

    A metadata file with the columns `file_name` and `label` takes precedence; images that it does not name
    have no label. Without one, the first-level sub-folder of an image is its class, if every image lies in
    a sub-folder and there are at least two of them.
    """
    report: list[Skipped] = []
    named: dict[str, str] | None = None
    for found in metadata:
        if named is not None:
            report.append(Skipped(found.path, f"Not used: the labels come from {metadata[0].path}."))
            continue
        try:
            named, complaint = _matching(_read(root / found.path), files)
        except (OSError, ValueError, csv.Error, RecursionError) as error:
            complaint = f"Its labels were not used: {_sentence(error)}"
        if complaint:
            report.append(Skipped(found.path, complaint))
    return (_by_folder(files) if named is None else named), report


def _matching(
    rows: Iterable[tuple[str, str]], files: Sequence[str]
) -> tuple[dict[str, str] | None, str | None]:
    """The labels of the files that are there, None if there are none; and a complaint about the rest."""
    known = set(files)
    stated = {posixpath.normpath(name.replace("\\", "/")): label for name, label in rows}
    missing = [name for name in stated if name not in known]
    found = {name: label for name, label in stated.items() if name in known and label}
    if not found:
        return None, "Its labels were not used: it gives none of the images here a label."
    if missing:
        return found, f"Some of its rows name no image here ({len(missing)} in all, first {missing[0]!r})."
    return found, None


def _read(path: Path) -> list[tuple[str, str]]:
    """The pairs of file name and label.

    Raises:
        ValueError, csv.Error: it is not such a file.
        OSError: it cannot be read.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(_json_rows(file) if path.suffix == ".jsonl" else _csv_rows(file))


def _csv_rows(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    rows = csv.DictReader(lines, strict=True)
    if not {"file_name", "label"} <= set(rows.fieldnames or ()):
        raise ValueError("it lacks the column file_name or the column label")
    for row in rows:
        yield row["file_name"] or "", (row["label"] or "").strip()


def _json_rows(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError:
                raise ValueError(f"line {number} is not JSON") from None
            if not isinstance(row, dict) or "file_name" not in row or "label" not in row:
                raise ValueError(f"line {number} lacks file_name or label")
            yield str(row["file_name"]), _label_text(row["label"])


def _label_text(label: Any) -> str:
    if isinstance(label, dict | list):
        raise ValueError("a label is not a text or a number")
    return "" if label is None else str(label).strip()


def _by_folder(files: Sequence[str]) -> dict[str, str]:
    """The first folder of each path, or nothing if that does not make classes."""
    folders = {file: file.split("/", 1)[0] for file in files if "/" in file}
    makes_classes = len(folders) == len(files) and len(set(folders.values())) >= 2
    return folders if makes_classes else {}


def numbered(files: Sequence[str], named: dict[str, str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The label of each file as an index into the sorted class names (-1 where it has none), and those names.

    Names that are all whole numbers are sorted as numbers.
    """
    names = tuple(sorted_names(set(named.values())))
    index = {name: i for i, name in enumerate(names)}
    labels = [index[named[file]] if file in named else -1 for file in files]
    return np.array(labels, dtype=np.int64), names


def sorted_names(names: Iterable[str]) -> list[str]:
    """Names in order: as numbers if all are whole numbers, otherwise as text."""
    listed = sorted(names)
    try:
        return sorted(listed, key=int)
    except ValueError:
        return listed


def _sentence(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text."
    text = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return f"{text.rstrip('.').lower() if isinstance(error, OSError) else text.rstrip('.')}."

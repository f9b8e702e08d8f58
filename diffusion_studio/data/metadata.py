"""Metadata files: which picture has which label."""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import plural, tr, trc
from diffusion_studio.data.imageset import Skipped, printable
from diffusion_studio.data.scan import FoundFile

MOST_BYTES = 2**30
_FILE, _LABEL = "file_name", "label"
_DELIMITERS = ",;\t|"
_PACKED = b"PK\x03\x04"  # how zip files begin, and so .xlsx and .ods
_SEPARATOR = re.compile(r"\s*\"?sep=(.)")
_BOMS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)

Row = tuple[str, str]  # file name as it stands there, label


@dataclass
class Metadata:
    """What all metadata files together say."""

    named: dict[str, str] = field(default_factory=dict)  # label of each file
    used: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    complaints: list[Skipped] = field(default_factory=list)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self.said)

    @property
    def report(self) -> tuple[Skipped, ...]:
        return tuple(self.complaints)


def read_metadata(root: Path, metadata: Sequence[FoundFile], files: Sequence[str]) -> Metadata:
    """The labels that metadata files give to `files`; each speaks of its own folder and those below.

    Of two in one folder the first counts.
    """
    found = Metadata()
    folders: dict[str, str] = {}
    for file in metadata:
        folder = posixpath.dirname(file.path)
        if folder in folders:
            found.complaints.append(
                Skipped(file.path, tr("Not used: the labels come from {file}.", file=folders[folder]))
            )
            continue
        if _take(found, root, file.path, folder, files):
            folders[folder] = file.path
            found.used.append(file.path)
    return found


def _take(found: Metadata, root: Path, path: str, folder: str, files: Sequence[str]) -> bool:
    """Adds what one file says; whether it gave any label."""
    try:
        rows, odd = _read(root / path)
    except Refused as error:
        reason = tr("Its labels were not used: {reason}.", reason=error)
        found.complaints.append(Skipped(path, reason, passing=isinstance(error.__cause__, OSError)))
        return False
    names = _Names(root, folder, files)
    labels, missing, twice = names.matched(rows)
    if not any(labels.values()):
        found.complaints.append(Skipped(path, _nothing(rows, missing, names)))
        return False
    found.named |= {file: label for file, label in labels.items() if label}
    if missing:
        found.complaints.append(Skipped(path, _some(missing, names)))
    found.said += [f"{path}: {sentence}" for sentence in (*odd, *twice)]
    return True


class _Names:
    """The pictures at and below one folder, by every name that a row may have for them."""

    def __init__(self, root: Path, folder: str, files: Sequence[str]) -> None:
        start = f"{folder}/" if folder else ""
        self.files = {file[len(start) :]: file for file in files if file.startswith(start)}
        self._folder = (root / folder).absolute().as_posix()
        self._loose: dict[str, list[str]] = {}
        for name, file in self.files.items():
            self._loose.setdefault(_loosely(name), []).append(file)

    def find(self, name: str) -> str | None:
        """The picture that a row means: exact, in another form of Unicode or case, or by its full path."""
        plain = posixpath.normpath(name.strip().replace("\\", "/"))
        if plain.startswith(f"{self._folder}/"):
            plain = plain[len(self._folder) + 1 :]
        if plain in self.files:
            return self.files[plain]
        alike = self._loose.get(_loosely(plain), [])
        return alike[0] if len(alike) == 1 else None

    def matched(self, rows: Sequence[Row]) -> tuple[dict[str, str], list[str], list[str]]:
        """The label of each picture, the names that mean none, and sentences about contradictions."""
        labels: dict[str, str] = {}
        missing: list[str] = []
        clashes: dict[str, tuple[str, str]] = {}
        for name, label in rows:
            file = self.find(name)
            if file is None:
                missing.append(name)
                continue
            if labels.get(file, label) != label:
                clashes.setdefault(name, (labels[file], label))
            labels[file] = label
        return labels, list(dict.fromkeys(missing)), _contradictions(clashes)


def _loosely(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _contradictions(clashes: dict[str, tuple[str, str]]) -> list[str]:
    if not clashes:
        return []
    name, (first, last) = next(iter(clashes.items()))
    sentence = plural(
        "{n} picture stands there with different labels, first {name} with “{first}” and “{last}”; the last "
        "one counts.",
        "{n} pictures stand there with different labels, first {name} with “{first}” and “{last}”; the last "
        "one counts.",
        len(clashes),
        name=printable(name),
        first=first,
        last=last,
    )
    return [sentence]


def _nothing(rows: Sequence[Row], missing: Sequence[str], names: _Names) -> str:
    if not rows:
        return tr("Its labels were not used: it has no rows.")
    if not missing:
        return tr("Its labels were not used: it gives none of the images here a label.")
    return tr(
        "Its labels were not used: none of its rows names an image here{example}.",
        example=_example(missing, names),
    )


def _some(missing: Sequence[str], names: _Names) -> str:
    return tr(
        "Some of its rows name no image here ({count} in all, first {name}).",
        count=len(missing),
        name=_quoted(missing[0]),
    )


def _example(missing: Sequence[str], names: _Names) -> str:
    """A row's name beside the name of a picture that it may have meant."""
    if not names.files:
        return ""
    wanted = posixpath.basename(missing[0].replace("\\", "/"))
    alike = (name for name in names.files if posixpath.basename(name) == wanted)
    there = next(alike, next(iter(names.files)))
    return tr(
        "; it says {said} where an image is called {name}",
        said=_quoted(missing[0]),
        name=_quoted(there),
    )


def _quoted(name: str) -> str:
    return f"'{printable(name)}'"


def _read(path: Path) -> tuple[list[Row], list[str]]:
    """The rows of a file, and what is odd about them, in sentences.

    Raises:
        Refused: it is not such a file; the message says why, to be put into a sentence.
    """
    try:
        lines = io.StringIO(_text(path), newline="")
        return (list(_json_rows(lines)), []) if path.suffix.lower() == ".jsonl" else _csv_rows(lines)
    except OSError as error:
        raise Refused((error.strerror or tr("it cannot be read")).lower()) from error
    except UnicodeError:
        raise Refused(tr("it is not UTF-8 text")) from None


def _text(path: Path) -> str:
    if path.stat().st_size > MOST_BYTES:
        raise Refused(tr("it is larger than {most} MiB", most=MOST_BYTES >> 20))
    data = path.read_bytes()
    if data.startswith(_PACKED):
        raise Refused(tr("it is a packed file, perhaps a spreadsheet, and no text"))
    text = data.decode(next((name for bom, name in _BOMS if data.startswith(bom)), "utf-8-sig"))
    if "\0" in text:
        raise Refused(tr("it holds null characters, so it is no text in UTF-8"))
    return text


def _csv_rows(lines: io.StringIO) -> tuple[list[Row], list[str]]:
    head, delimiter = _head(lines)
    rows = csv.reader(lines, strict=True, delimiter=delimiter, skipinitialspace=True)
    columns = next(csv.reader([head], delimiter=delimiter, skipinitialspace=True), [])
    names = [name.strip().casefold() for name in columns]
    if _FILE not in names or _LABEL not in names:
        raise Refused(_wrong_columns(names))
    file, label = (len(names) - 1 - names[::-1].index(name) for name in (_FILE, _LABEL))
    found: list[Row] = []
    long: list[str] = []
    try:
        for row in filter(None, rows):
            cells = [*row, *[""] * len(names)]
            found.append((cells[file], cells[label].strip()))
            if any(row[len(names) :]):
                long.append(found[-1][0])
    except csv.Error:
        line = rows.line_num + 1
        raise Refused(
            tr(
                "it is no table that can be read: see line {line}, or a quote that was opened before it and "
                "is not closed",
                line=line,
            )
        ) from None
    return found, [*_twice(names), *_too_long(long)]


def _head(lines: io.StringIO) -> tuple[str, str]:
    """The header and what separates its columns; empty lines before it, and Excel's “sep=;”, are passed."""
    head = ""
    for head in iter(lines.readline, ""):
        said = _SEPARATOR.match(head)
        if said:
            return lines.readline().rstrip("\r\n"), said[1]
        if head.strip():
            break
    return head.rstrip("\r\n"), max(_DELIMITERS, key=head.count)


def _twice(names: Sequence[str]) -> list[str]:
    """A sentence for each of the two columns that is there more than once."""
    return [
        tr("{count} columns are called {name}; the last one counts.", count=names.count(name), name=name)
        for name in (_FILE, _LABEL)
        if names.count(name) > 1
    ]


def _too_long(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    rows = plural(
        "{n} row has more columns than its header", "{n} rows have more columns than its header", len(names)
    )
    return [
        tr(
            "{rows}, first {name}: a label with a comma in it stands in quotes.",
            rows=rows,
            name=printable(names[0]),
        )
    ]


def _wrong_columns(names: Iterable[str]) -> str:
    here = ", ".join(_quoted(name.strip()) for name in names) or trc("columns", "none")
    return tr(
        "it lacks the column {file} or the column {label}; its columns are {here}",
        file=_FILE,
        label=_LABEL,
        here=here,
    )


def _json_rows(lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError:
                raise Refused(tr("line {number} is not JSON", number=number)) from None
            except RecursionError:
                raise Refused(tr("it is nested too deeply")) from None
            if not isinstance(row, dict):
                raise Refused(
                    tr(
                        'line {number} is none of the form {{"{file}": "a.png", "{label}": "cat"}}',
                        number=number,
                        file=_FILE,
                        label=_LABEL,
                    )
                )
            if _FILE not in row or _LABEL not in row:
                raise Refused(
                    tr(
                        "line {number} lacks {file} or {label}; {keys}",
                        number=number,
                        file=_FILE,
                        label=_LABEL,
                        keys=_keys(row),
                    )
                )
            yield str(row[_FILE]), _label_text(row[_LABEL])


def _label_text(label: Any) -> str:
    if isinstance(label, dict | list):
        raise Refused(tr("a label is not a text or a number"))
    if label is None or label != label:  # NaN, which pandas writes for what is missing
        return ""
    if isinstance(label, bool):
        return str(label).lower()  # as it is written there
    return printable(str(label)).strip()


def _keys(row: dict[str, Any]) -> str:
    return tr("it has {keys}", keys=", ".join(map(_quoted, row)) or trc("keys", "nothing"))

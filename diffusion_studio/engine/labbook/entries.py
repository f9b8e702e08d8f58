"""What a person writes about a run: a name, a note, tags, a star; a small file in the folder of the run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.files.file_cache import FileCache
from diffusion_studio.engine.files.files import to_json, write_atomically
from diffusion_studio.engine.files.reading import json_inside
from diffusion_studio.engine.runs.run import RunError

ENTRY = "labbook.json"
BROKEN = "labbook-broken.json"  # what could not be read, kept when a new one is written
MOST_BYTES = 1 << 20
MOST_NAME, MOST_TAG, MOST_NOTE = 120, 40, 20_000  # characters
MOST_TAGS = 20
_REFUSED = '<>:"/\\|?*'  # in names of files, on Windows


@dataclass(frozen=True)
class Entry:
    """What is written about one run."""

    name: str = ""  # that a person gave it; without one it is called like its folder
    note: str = ""
    tags: tuple[str, ...] = ()
    star: bool = False


_ENTRIES = FileCache[Entry | None]()


def read_entry(run: Path) -> tuple[Entry, str]:
    """What is written about a run, and why it cannot be read, as a sentence; an absent one is empty."""
    try:
        os.lstat(run / ENTRY)  # of most runs nothing is written
        entry = _ENTRIES.of(run / ENTRY, lambda: _entry(json_inside(run, ENTRY, MOST_BYTES)))
    except FileNotFoundError:
        return Entry(), ""
    except (OSError, Refused) as error:
        reason = str(error.strerror or error) if isinstance(error, OSError) else str(error)
        return Entry(), tr(
            "What was written about it ({file}) cannot be read: {reason}.", file=ENTRY, reason=reason
        )
    if entry is None:
        return Entry(), tr(
            "What was written about it ({file}) cannot be read: it is of another kind.", file=ENTRY
        )
    return entry, ""


def _entry(content: Any) -> Entry | None:
    """What makes sense of a file that anybody may have written; None where nothing does."""
    if not isinstance(content, dict):
        return None
    name, note, tags = (content.get(key) for key in ("name", "note", "tags"))
    return Entry(
        one_line(name)[:MOST_NAME] if isinstance(name, str) else "",
        note[:MOST_NOTE] if isinstance(note, str) else "",
        tags_in(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        content.get("star") is True,
    )


def write_entry(run: Path, entry: Entry) -> None:
    """Replaces what is written about a run, in one step. What could not be read before is kept beside.

    Raises:
        RunError: the run is gone, or its folder cannot be written.
    """
    if not run.is_dir():
        raise RunError(tr("{run} is not there any more, so nothing can be written about it.", run=run))
    try:
        if read_entry(run)[1]:
            (run / ENTRY).replace(run / BROKEN)
        write_atomically(run / ENTRY, to_json(asdict(entry)))
    except OSError as error:
        raise RunError(
            tr("Nothing can be written about {run}: {reason}.", run=run.name, reason=error.strerror or error)
        ) from None


def called(run: Path) -> str:
    """What a run is called: by a person, or like its folder."""
    return read_entry(run)[0].name or run.name


def file_name(run: Path) -> str:
    """What files about a run are called: like it, without what some file systems refuse."""
    kept = "".join("-" if c in _REFUSED or not c.isprintable() else c for c in called(run))
    return kept.strip(" .") or run.name


def one_line(text: str) -> str:
    """Words with single spaces between them."""
    return " ".join(text.split())


def tags_in(words: Iterable[str]) -> tuple[str, ...]:
    """Tags without their commas, each once whatever its case, in their order."""
    found: dict[str, str] = {}
    for word in words:
        for tag in word.split(","):
            tag = one_line(tag).lstrip("#")[:MOST_TAG]
            if tag:
                found.setdefault(tag.casefold(), tag)
    return tuple(found.values())[:MOST_TAGS]


def common_tags(entries: Iterable[Entry]) -> tuple[str, ...]:
    """The tags that all of them have, in the order of the first one."""
    first, *others = [entry.tags for entry in entries] or [()]
    return tuple(tag for tag in first if all(tag in tags for tags in others))


def retagged(entry: Entry, before: tuple[str, ...], after: tuple[str, ...]) -> Entry:
    """An entry of several that had the tags `before` in common and now have `after`; its own ones stay."""
    kept = [tag for tag in entry.tags if tag not in before or tag in after]
    return replace(entry, tags=tags_in([*kept, *after]))

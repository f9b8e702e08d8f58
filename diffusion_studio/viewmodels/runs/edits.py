"""What a person writes, as changes of entries: (run, before, after) of each run that changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from diffusion_studio.engine.labbook.entries import (
    MOST_NAME,
    MOST_NOTE,
    Entry,
    common_tags,
    one_line,
    retagged,
    tags_in,
)
from diffusion_studio.viewmodels.runs.summary import RunSummary

Changes = tuple[tuple[Path, Entry, Entry], ...]
Runs = Sequence[RunSummary]


def renamed(run: RunSummary, name: str) -> Changes:
    """Called otherwise; without a name of its own, or with that of its folder, it is called like that."""
    name = one_line(name)[:MOST_NAME]
    return _changed([run], lambda entry: replace(entry, name="" if name == run.path.name else name))


def noted(run: RunSummary, note: str) -> Changes:
    """With another note."""
    return _changed([run], lambda entry: replace(entry, note=note.rstrip()[:MOST_NOTE]))


def tagged(runs: Runs, text: str) -> Changes:
    """With these tags, between commas, in place of those that all have in common; others stay."""
    before, after = common_tags(run.entry for run in runs), tags_in([text])
    return _changed(runs, lambda entry: retagged(entry, before, after))


def starred(runs: Runs) -> Changes:
    """With a star, or without where all have one."""
    given = not all(run.entry.star for run in runs)
    return _changed(runs, lambda entry: replace(entry, star=given))


def _changed(runs: Runs, change: Callable[[Entry], Entry]) -> Changes:
    changes = ((run.path, run.entry, change(run.entry)) for run in runs)
    return tuple(found for found in changes if found[1] != found[2])

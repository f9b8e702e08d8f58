"""Which runs are shown, and in which order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from diffusion_studio.core.words import tr
from diffusion_studio.viewmodels.runs.summary import RunSummary

KINDS = {"diffusion": tr("diffusion"), "ae": "AE", "vae": "VAE", "hvae": tr("hierarchy")}


def kind_in_words(run: RunSummary) -> str:
    kind = KINDS.get(run.kind, run.kind)
    return tr("{kind} in a code", kind=kind) if run.in_a_code else kind


_KEYS: dict[str, Callable[[RunSummary], Any]] = {
    "star": lambda run: run.entry.star,
    "name": lambda run: run.name.casefold(),
    "tags": lambda run: tuple(tag.casefold() for tag in run.entry.tags),
    "kind": lambda run: kind_in_words(run).casefold(),
    "data": lambda run: run.data.casefold(),
    "step": lambda run: run.step,
    "loss": lambda run: run.loss,
    "trained": lambda run: run.seconds,
    "size": lambda run: run.size,
    "saved": lambda run: run.changed,
}
"""What runs can be sorted by."""
DESCENDING = ("star", "step", "trained", "size", "saved")  # at first


@dataclass(frozen=True)
class Arrangement:
    """What a person wants to see of all runs."""

    words: str = ""  # each of them must stand somewhere in what is said of a run
    starred: bool = False  # only those with a star
    by: str = "saved"
    descending: bool = True

    @property
    def leaves_out(self) -> bool:
        return self.starred or bool(self.words.strip())


def arranged(runs: Iterable[RunSummary], wanted: Arrangement) -> tuple[RunSummary, ...]:
    """The runs that are shown, in their order. What has no loss, or no tags, comes last either way."""
    words = wanted.words.casefold().split()
    found = [run for run in runs if _fits(run, words) and (run.entry.star or not wanted.starred)]
    key = _KEYS[wanted.by]
    known = sorted((run for run in found if not _lacks(run, wanted.by)), key=key, reverse=wanted.descending)
    return (*known, *(run for run in found if _lacks(run, wanted.by)))


def _lacks(run: RunSummary, by: str) -> bool:
    return (by == "loss" and math.isnan(run.loss)) or (by == "tags" and not run.entry.tags)


def _fits(run: RunSummary, words: list[str]) -> bool:
    entry = run.entry
    said = (run.name, run.path.name, entry.note, *entry.tags, kind_in_words(run), run.data)
    text = "\n".join(said).casefold()
    return all(word in text for word in words)


def sorted_by(wanted: Arrangement, by: str) -> tuple[str, bool]:
    """(what, whether descending) after a person asked for `by`: asked again, the other way round."""
    return by, not wanted.descending if by == wanted.by else by in DESCENDING


def remembered(content: object) -> Arrangement:
    """What the window remembers of it; what makes no sense is as at first."""
    if not isinstance(content, dict):
        return Arrangement()
    by = content.get("by")
    if not isinstance(by, str) or by not in _KEYS:
        return Arrangement()
    return Arrangement("", content.get("starred") is True, by, content.get("descending") is True)

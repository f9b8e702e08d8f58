"""The denoisers that a person can choose on the Sample page."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import torch

from diffusion_studio.core.words import tr
from diffusion_studio.data.spec import DIGITS
from diffusion_studio.engine.chains.source import MEMORISING, Source, open_named
from diffusion_studio.engine.classifier.files import version_of
from diffusion_studio.engine.files.places import is_something
from diffusion_studio.engine.labbook.entries import called
from diffusion_studio.engine.runs.checkpoints import checkpoint_step, list_checkpoints
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.run import Run, is_run, list_runs, owner_of

KEPT = 3  # models kept in memory


@dataclass(frozen=True)
class SourceChoice:
    """One entry of the list: what it is called, and how it is found again."""

    key: str  # a path, or "memorising:" and a path or the word digits
    title: str


def memorising_choice(data_source: str) -> SourceChoice:
    return SourceChoice(
        f"{MEMORISING}{data_source}", tr("{name} · memorising (exact)", name=Path(data_source).name)
    )


def is_there(key: str) -> bool:
    """Whether there is something at the place that a key names."""
    place = key.removeprefix(MEMORISING)
    return place != "" and (place == DIGITS or is_something(Path(place)))


def list_choices(
    runs_dir: Path, data_sources: tuple[str, ...], extra: tuple[str, ...] = ()
) -> list[SourceChoice]:
    """Memorising denoisers of the data at hand, every run with a checkpoint, and folders opened by hand.

    What is not there any more is left out.
    """
    sources = [each for each in dict.fromkeys((DIGITS, *data_sources)) if is_there(f"{MEMORISING}{each}")]
    choices = [memorising_choice(source) for source in sources]
    for path in list_runs(runs_dir, RunConfig.kind):
        choices += _choices_of_run(path)
    known = {choice.key for choice in choices}
    for key in extra:
        if key not in known and is_there(key):
            choices += _choices_of_run(Path(key)) or [SourceChoice(key, called(Path(key)))]
    return choices


def _choices_of_run(path: Path) -> list[SourceChoice]:
    """A run's newest checkpoint, which follows its training, and the older ones that are kept."""
    checkpoints = list_checkpoints(path / "checkpoints")
    if not checkpoints:
        return []
    name = called(path)
    older = [
        SourceChoice(
            str(checkpoint),
            tr("{name} · step {step:,}", name=name, step=checkpoint_step(checkpoint)),
        )
        for checkpoint in reversed(checkpoints[:-1])
    ]
    return [SourceChoice(str(path), tr("{name} · newest", name=name)), *older]


class SourceCache:
    """Opens denoisers and keeps the last few. Used by one background job at a time."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._sources: OrderedDict[tuple[str, str], Source] = OrderedDict()

    def open(self, key: str) -> Source:
        """The denoiser of a choice; a run's newest checkpoint.

        Raises:
            Refused: it cannot be opened; the message is a sentence for a person.
        """
        version = _version(key)
        found = self._sources.get((key, version))
        if found is None:
            found = self._opened(key)
            self._sources[key, version] = found
            while len(self._sources) > KEPT:
                self._sources.popitem(last=False)
        self._sources.move_to_end((key, version))
        return found

    def _opened(self, key: str) -> Source:
        return open_named(key, self.device)


def _version(key: str) -> str:
    """Changes when a run has a newer checkpoint or another classifier."""
    path = Path(key)
    if key.startswith(MEMORISING):
        return ""
    if not is_run(path):
        owner = owner_of(path)
        return version_of(owner) if owner is not None else ""
    found = list_checkpoints(Run.open(path).checkpoint_folder)
    return f"{found[-1].name if found else ''} {version_of(path)}"

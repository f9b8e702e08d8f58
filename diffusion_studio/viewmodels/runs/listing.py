"""What is listed: the runs in the folder of runs, and those of other places that a person opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffusion_studio.core.words import tr
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.runs.run import is_run, list_runs, owner_of
from diffusion_studio.engine.runs.trash import Trashed, list_trash
from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.runs.summary import RunSummary, summary_of, unreadable

ELSEWHERE = "labbook.elsewhere"  # in the window's memory
GONE = tr("It is not there now. When its disk or folder is back, it can be used again.")


@dataclass(frozen=True, eq=False)
class RunsListed(events.Event):
    """What lies on disk."""

    runs: tuple[RunSummary, ...]
    trash: tuple[Trashed, ...]


def listed(folder: Path, elsewhere: Sequence[Path], stopped: Callable[[], bool]) -> RunsListed:
    """Every run in the folder of runs and elsewhere, each once, and what lies in the trash beside them."""
    trash = tuple(found for place in _folders(folder, elsewhere) for found in list_trash(place))
    homes = {found.home for found in trash}
    paths = dict.fromkeys(path for place in (folder, *elsewhere) for path in _runs_at(place, folder))
    there = ((path, is_run(path)) for path in paths)
    runs = (
        summary_of(path) if is_there else unreadable(path, GONE)
        for path, is_there in there if is_there or path not in homes
    )  # fmt: skip
    return RunsListed(tuple(_until(stopped, runs)), trash)


def _runs_at(place: Path, folder: Path) -> list[Path]:
    """The run at a place, or those right inside; a place that is gone stands for itself."""
    if place != folder and (is_run(place) or not place.is_dir()):
        return [place]
    return list_runs(place)


def _folders(folder: Path, elsewhere: Sequence[Path]) -> dict[Path, None]:
    """The folders in which runs lie."""
    own = (place if place.is_dir() and not is_run(place) else place.parent for place in elsewhere)
    return dict.fromkeys((folder, *own))


def _until(stopped: Callable[[], bool], runs: Iterable[RunSummary]) -> Iterator[RunSummary]:
    for run in runs:
        yield run
        if stopped():
            return


def place_of(path: Path) -> Path | None:
    """The run that a path stands for, or a folder with runs inside; None where there is neither."""
    if (owner := owner_of(path)) is not None:
        return owner
    return path if list_runs(path) else None


def remembered_places(memory: Memory) -> tuple[Path, ...]:
    """The places that were opened before; what makes no sense is left out."""
    content = memory.get(ELSEWHERE)
    texts = content if isinstance(content, list) else []
    return tuple(dict.fromkeys(Path(text) for text in texts if isinstance(text, str) and text))

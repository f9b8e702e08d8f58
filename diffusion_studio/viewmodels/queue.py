"""Trainings that wait for their turn: one begins when the one before has ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from diffusion_studio.core.words import plural, tr
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.train.memory import remembered_config
from diffusion_studio.viewmodels.train.model import TrainViewModel

QUEUE = "queue"  # in the window's memory
MOST = 100


@dataclass(frozen=True)
class Queued:
    """A training that waits: a new one with its settings, or one that goes on with a run."""

    title: str
    config: RunConfig | None = None
    run: Path | None = None


@dataclass(frozen=True)
class QueueState:
    """What waits, and whether the next one begins by itself."""

    items: tuple[Queued, ...] = ()
    going: bool = False
    taken: tuple[tuple[tuple[int, Queued], ...], ...] = ()  # (place, what), for each time some were taken out

    def in_words(self) -> str:
        """ "3 trainings wait"; nothing for none."""
        count = len(self.items)
        return plural("{n} training waits", "{n} trainings wait", count) if count else ""


class Queue(QObject):
    """Begins trainings one after the other. What a person stops holds the queue; what fails does not."""

    changed = Signal(object)  # QueueState

    def __init__(self, training: TrainViewModel, memory: Memory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._training, self._memory = training, memory
        self.state = QueueState(tuple(remembered_queue(memory)))
        training.training.told.connect(self._on_told)

    # --- what waits -----------------------------------------------------------------------------------

    def add(self, config: RunConfig, title: str = "") -> None:
        """A new training with these settings, after those that wait already."""
        name = title or tr("New run on {name}", name=Path(config.data.source).name)
        self._put((*self.state.items, Queued(name, config)))

    def add_run(self, run: Path, name: str) -> None:
        """Going on with a run, after what waits already."""
        self._put((*self.state.items, Queued(tr("Go on with {name}", name=name), run=run)))

    def remove(self, places: Sequence[int]) -> None:
        """Takes trainings out of the queue; they can be put back while the window is open."""
        taken = tuple((place, item) for place, item in enumerate(self.state.items) if place in places)
        self._put([item for place, item in enumerate(self.state.items) if place not in places])
        if taken:
            self._update(taken=(*self.state.taken, taken))

    def put_back(self) -> None:
        """Undoes the last taking out: each to its place, or to the end of a queue that is shorter now."""
        if not self.state.taken:
            return
        *before, last = self.state.taken
        items = list(self.state.items)
        for place, item in last:
            items.insert(place, item)
        self._update(taken=tuple(before))
        self._put(items)

    def move(self, place: int, by: int) -> None:
        """Lets one begin earlier (−1) or later (+1)."""
        items, target = list(self.state.items), place + by
        if 0 <= place < len(items) and 0 <= target < len(items):
            items.insert(target, items.pop(place))
            self._put(items)

    def _put(self, items: Sequence[Queued]) -> None:
        self._memory.set(QUEUE, [_to_remember(item) for item in items[:MOST]])
        self._update(items=tuple(items[:MOST]), going=self.state.going and bool(items))

    # --- one after the other --------------------------------------------------------------------------

    def go(self) -> None:
        """Begins the first one, now or when the training of now has ended, and so on."""
        self._update(going=bool(self.state.items))
        self._next()

    def hold(self) -> None:
        """Begins none any more; the one that trains goes on."""
        self._update(going=False)

    def _on_told(self, event: events.Event) -> None:
        if isinstance(event, events.Finished) and self.state.going:
            if event.outcome == "stopped":
                self.hold()
            else:
                QTimer.singleShot(0, self, self._next)  # once everybody has heard of the end

    def _next(self) -> None:
        if not self.state.going or self._training.state.busy:
            return
        first, *rest = self.state.items
        self._begin(first)
        if self._training.state.busy:
            self._put(rest)
        else:  # it was refused, with a notice on its page
            self.hold()

    def _begin(self, item: Queued) -> None:
        if item.config is not None:
            self._training.editor.set(item.config)
            self._training.start()
        elif item.run is not None:
            self._training.resume_run(item.run)

    def _update(self, **values: Any) -> None:
        state = replace(self.state, **values)
        if state != self.state:
            self.state = state
            self.changed.emit(state)


def _to_remember(item: Queued) -> dict[str, Any]:
    if item.config is not None:
        return {"title": item.title, "config": item.config.model_dump(mode="json")}
    return {"title": item.title, "run": str(item.run)}


def remembered_queue(memory: Memory) -> Iterator[Queued]:
    """What waited when the window was closed; what makes no sense is left out."""
    content = memory.get(QUEUE)
    for entry in content[:MOST] if isinstance(content, list) else []:
        if not isinstance(entry, dict) or not isinstance(title := entry.get("title"), str):
            continue
        run, config = entry.get("run"), remembered_config(entry.get("config"))
        if isinstance(run, str) and run:
            yield Queued(title, run=Path(run))
        elif config is not None:
            yield Queued(title, config)

"""What is seen of the chains: the view, the layout, and the pictures and curves made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from diffusion_studio.engine.chains.distances import distance_between
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.sample.chain_views import (
    ChainCurves,
    Frame,
    Strip,
    captions_of,
    curves_of,
    frame_of,
    guided_frame,
    nearest_state,
    step_of,
    strip_of,
)
from diffusion_studio.viewmodels.sample.chains import Chains
from diffusion_studio.viewmodels.sample.state import VIEWS, Layout, PicturesState

T = TypeVar("T")
TICK = 10  # ms between looks into the mailbox: a slider that is held waits for the pictures
LONG = 60_000  # ms


class Kept(Generic[T]):
    """The last value, and what it was made of."""

    def __init__(self) -> None:
        self._key: object = None
        self._value: T | None = None

    def of(self, key: object, make: Callable[[], T]) -> T:
        """The last value if it was made of the same, otherwise a new one."""
        if self._value is None or key != self._key:
            self._key, self._value = key, make()
        return self._value


class Pictures(QObject):
    """Chooses what is seen, and makes what differs from what was seen before.

    Args:
        told: called when something else is to be seen.
    """

    failed = Signal(str, str)  # a sentence, the traceback

    def __init__(self, told: Callable[[], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._told = told
        self._rough: NDArray[np.uint8] | None = None
        self._looked_at = -1  # the state that the rough picture is of
        self._decoding = Decoding(told, self)
        self._decoding.failed.connect(self.failed)
        self.forget()
        self.state = PicturesState()

    # --- what the person chooses ------------------------------------------------------------------------

    def set_view(self, view: str) -> None:
        if view in VIEWS:
            self._rough = None
            self._choose(view=view)

    def set_layout(self, layout: str) -> None:
        """One state of all samples, the whole chain of some, or one state with guidance and without it."""
        self._choose(layout=cast(Layout, layout if layout in ("strip", "guided") else "grid"))

    def choose_sample(self, sample: int | None) -> None:
        """Whose curves are drawn; None: the mean of all."""
        self._choose(sample=sample)

    def _choose(self, **values: Any) -> None:
        self.state = replace(self.state, **values)
        self._told()

    # --- what is made of the chains ---------------------------------------------------------------------

    def forget(self) -> None:
        """Lets go of the records that pictures were made of."""
        self._frames, self._strips, self._curves = Kept[Frame](), Kept[Strip | None](), Kept[ChainCurves]()

    def begin(self, record: Trajectory, rough: NDArray[np.uint8] | None, position: int) -> None:
        """Other chains are on show, perhaps with a first picture of the state at `position`."""
        self.forget()
        self._rough, self._looked_at = rough, position
        sample = self.state.sample
        if sample is not None and sample >= record.chain.spec.count:
            self.state = replace(self.state, sample=None)

    def look(self, chains: Chains, position: int) -> PicturesState:
        """What is to be seen by now of a state; what is not computed yet stays as it was."""
        record = chains.record
        if record is not None:
            frame = self._frame(record, chains.compared, position)
            self.state = replace(
                self.state, frame=frame or self.state.frame, old=frame is None,
                strip=self._strip(record) or self.state.strip, curves=self._curve(chains, record),
                step=step_of(record, position),
            )  # fmt: skip
            self._decoding.serve(record, chains.compared)
        return self.state

    def shutdown(self) -> None:
        """Waits for what is being decoded."""
        self._decoding.shutdown()

    def _frame(self, record: Trajectory, other: Trajectory | None, position: int) -> Frame | None:
        """The pictures of a state, or the best there is in their place."""
        ready, view = record.ready, self.state.view
        if position != self._looked_at or position < ready:
            self._rough = None
        rough = self._rough
        if rough is not None:
            return self._frames.of("rough", lambda: Frame(rough, captions_of(record), rough=True))
        if position >= ready:
            if ready <= record.leaves:
                return None
            position, other = ready - 1, None
        elif self.state.layout == "guided":
            estimate = min(position, record.estimates - 1)
            guided = ("guided", estimate, record.decoded.count)
            return self._frames.of(guided, lambda: guided_frame(record, estimate))
        theirs = -1 if other is None else nearest_state(other, record.times[position])
        known = view == "forward" and record.is_complete  # its image may be to come
        decoded = (record.decoded.count, 0 if other is None else other.decoded.count)
        key = (view, position, theirs, known, *decoded)
        return self._frames.of(key, lambda: frame_of(record, position, view, other, theirs))

    def _strip(self, record: Trajectory) -> Strip | None:
        if self.state.layout != "strip":
            return None
        known = record.ready if record.is_complete else 10 * record.ready // (record.steps + 1)
        view = self.state.view
        return self._strips.of((view, known, record.decoded.count), lambda: strip_of(record, view))

    def _curve(self, chains: Chains, record: Trajectory) -> ChainCurves:
        other, distances, sample = chains.compared, chains.distances, self.state.sample
        both = other is not None and record.is_complete and other.is_complete

        def make() -> ChainCurves:
            apart = distance_between(record, other) if both and other is not None else None
            return curves_of(record, distances, apart, sample)

        return self._curves.of((record.ready, distances is None, both, sample), make)


@dataclass(frozen=True)
class StateDecoded(events.Event):
    """The pictures of one more state can be seen."""


class Decoding(QObject):
    """Grants what records wish for, in one job at a time.

    Args:
        told: called when there is something new to be seen.
    """

    failed = Signal(str, str)  # a sentence, the traceback

    def __init__(self, told: Callable[[], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._told = told
        self._slot = Slot(self, TICK)
        self._slot.told.connect(self._on_event)

    def serve(self, *records: Trajectory | None) -> None:
        """Decodes what these records wish for, unless a job is at it already."""
        wishing = [record for record in records if record is not None and record.decoded.wished is not None]
        if not wishing or self._slot.busy:
            return

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            while not control.stopped and any(record.decoded.wished is not None for record in wishing):
                for record in wishing:
                    if (wished := record.decoded.wished) is not None:
                        try:
                            record.picture(*wished)
                        finally:  # what cannot be decoded is not tried again and again
                            record.decoded.take_back(wished)
                        yield StateDecoded()

        self._slot.start(stream)

    def _on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Finished) and event.outcome == "failed":
            self.failed.emit(event.message, event.traceback)
        self._told()  # at the end too: what was wished for meanwhile is served then

    def shutdown(self) -> None:
        self._slot.finish(LONG)

"""The chains that are computed beside the window, and the records of those on show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PySide6.QtCore import QObject

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers.sigma_curve import points_below
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.distances import distance_to_end
from diffusion_studio.engine.chains.records import Readable, Tracks, check, fitting, rough_picture
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.chains.views import View
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.viewmodels.job import Post, Slot, Stream
from diffusion_studio.viewmodels.sample.chain_views import ChainFacts, facts_of, step_noise_of
from diffusion_studio.viewmodels.sample.player import Road
from diffusion_studio.viewmodels.sample.sources import SourceCache
from diffusion_studio.viewmodels.sample.state import ChainsState, SampleParameters, TrackState

TICK = 10  # ms between looks into the mailbox: a slider that is held waits for the pictures
LONG = 60_000  # ms: one step of thousands of images takes long


@dataclass(frozen=True, eq=False)
class TracksBegun(events.Event):
    """The records of all tracks; their states become readable one by one."""

    asked: SampleParameters
    records: tuple[Trajectory, ...]
    rough: NDArray[np.uint8] | None  # a first picture of the state that is looked at (n, H, W, C)


@dataclass(frozen=True, eq=False)
class TrackDone(events.Event):
    """One record is complete."""

    record: Trajectory
    distances: NDArray[np.float64]  # of each estimate to the last one (S, n)


@dataclass(frozen=True)
class ImagesRefused(events.Event):
    """An image that chains are to begin at cannot be read."""

    message: str


Told = TracksBegun | ImagesRefused | events.Finished


class Bench:
    """What computing keeps from one time to the next. Used by one background job at a time."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.cache, self.tracks, self.readable = SourceCache(device), Tracks(), Readable()

    def computing(self, asked: SampleParameters, place: float, view: View) -> Stream:
        """A job that computes the chains of a tree, those that are looked at first.

        Args:
            place: where the person stands, as a share of T.
        """

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            source, tree = self.cache.open(asked.source), asked.tree
            try:
                self.readable.check(tree.spec.start.files, source)
            except Refused as error:
                yield ImagesRefused(str(error))
                return
            records = self.tracks.build(source, tree, self.device)
            shown = records[tree.active]
            yield TracksBegun(asked, records, rough_picture(shown, place * source.tables.steps, view))
            first = [shown, *([records[tree.compared]] if tree.compared >= 0 else [])]
            for record in dict.fromkeys((*first, *records)):
                for progress in record.compute():
                    if control.stopped:
                        return
                    if progress.doing:  # how far it has come can be seen from the record
                        yield progress
                yield TrackDone(record, distance_to_end(record))

        return stream


class Chains(QObject):
    """Computes what is asked for; what is on show stays until there is better.

    How far the chains have come is told to nobody: who wants to know looks at `state`.

    Args:
        told: called when other chains begin, when images are refused and when a computation ends.
    """

    def __init__(
        self, device: torch.device, told: Callable[[Told], None], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.device = device
        self.shown: SampleParameters | None = None  # the ones whose records these are
        self.records: tuple[Trajectory, ...] = ()
        self._bench, self._told = Bench(device), told
        self._distances: dict[Trajectory, NDArray[np.float64]] = {}
        self._facts, self._doing = ChainFacts(), ""
        self._slot = Slot(self, TICK)
        self._slot.told.connect(self._on_event)
        self.busy = self._halted = False

    # --- what is on show --------------------------------------------------------------------------------

    @property
    def record(self) -> Trajectory | None:
        """The record of the track that is shown."""
        return self.records[self.shown.tree.active] if self.shown and self.records else None

    @property
    def compared(self) -> Trajectory | None:
        """The record that it is compared with."""
        other = self.shown.tree.compared if self.shown else -1
        return self.records[other] if self.records and other >= 0 else None

    @property
    def distances(self) -> NDArray[np.float64] | None:
        """Of each estimate of the shown track to the last one (S, n), once it is complete."""
        record = self.record
        return None if record is None else self._distances.get(record)

    @property
    def state(self) -> ChainsState:
        """How far the chains have come by now."""
        record = self.record
        if record is None or self.shown is None:
            return ChainsState(busy=self.busy, doing=self._doing)
        tree = self.shown.tree
        tracks = tuple(
            TrackState(label, each.times, tree.parent_of(k), each.leaves, each.ready)
            for k, (label, each) in enumerate(zip(tree.labels, self.records, strict=False))
        )
        ready = tracks[tree.active].ready
        return ChainsState(
            self._facts, tracks, ready, ready > record.steps, self.busy, self._doing, self.shown.source
        )

    def road(self) -> Road:
        """What can be walked over now."""
        record = self.record
        if record is None:
            return Road()
        return Road(record.times, record.chain.source.tables.steps, record.ready, self.busy)

    # --- what can be asked of the denoiser --------------------------------------------------------------

    def check(self, asked: SampleParameters, tree: ChainTree) -> None:
        """Raises Refused when the denoiser on show cannot follow the tree.

        Args:
            asked: what is asked for until now; of another denoiser nothing is known.
        """
        if self.record is None or self.shown is None or asked.source != self.shown.source:
            return
        source, spec = self.record.chain.source, tree.spec_of(tree.active)
        if spec.label != asked.spec.label:  # one that was asked of another denoiser may stand
            Chain(source, spec, self.device).labels()
        check(source, tree, self.device)

    def sigma_points(self, spec: SampleSpec) -> tuple[tuple[float, float], ...] | None:
        """Points (t, σ) close to the σ of the steps of a chain, where Lemma 3.1 allows it."""
        if self.record is None:
            return None
        source = self.record.chain.source
        noise = step_noise_of(Chain(source, fitting(spec, source), self.device))
        return points_below(noise.times[:-1], noise.sigma, noise.ceiling)

    # --- computing --------------------------------------------------------------------------------------

    def compute(self, asked: SampleParameters, place: float, view: View) -> None:
        """Begins to compute; what was being computed ends unheard."""
        self.busy, self._doing, self._halted = True, "", False
        self._slot.start(self._bench.computing(asked, place, view))

    def show(self, asked: SampleParameters) -> bool:
        """Shows at once what needs no computing: another track, another comparison, another name.

        Returns:
            Whether that was all it takes.
        """
        shown = self.shown
        known = shown and shown.source == asked.source and shown.tree.chains == asked.tree.chains
        if known:
            self._begin(asked, self.records)
        return bool(known)

    def _begin(self, asked: SampleParameters, records: tuple[Trajectory, ...]) -> None:
        self.shown, self.records = asked, records
        self._distances = {r: d for r, d in self._distances.items() if r in records}
        self._facts = facts_of(records[asked.tree.active], records)

    def _on_event(self, event: events.Event) -> None:
        match event:
            case TracksBegun() if self._halted:
                return  # it had begun when it was stopped, and nobody asks for it any more
            case TracksBegun():
                self._begin(event.asked, event.records)
            case TrackDone():
                self._distances[event.record] = event.distances
            case events.SamplingProgress():
                self._doing = event.doing
            case events.Finished():
                self.busy, self._doing = False, ""
        if isinstance(event, Told):
            self._told(event)

    def use(self, device: torch.device) -> None:
        """Computes on another device from now on; what is on show stays."""
        self.stop()
        self.device, self._bench = device, Bench(device)

    def halt(self) -> None:
        """Asks the computing to end; what there is by then stays on show."""
        self._halted = True
        self._slot.stop()

    def stop(self) -> None:
        """Stops computing and waits for the end of it."""
        self._slot.finish(LONG)

    def forget(self) -> None:
        """Gives the records back."""
        self.shown, self.records = None, ()
        self._distances.clear()
        self._bench.tracks.clear()

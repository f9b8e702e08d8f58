"""The records of a chain and its branches, kept as long as memory allows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import to_pictures
from diffusion_studio.engine.chains.chain import Chain, Origin
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.first_state import read_images
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import Source
from diffusion_studio.engine.chains.states import MEMORY_CAP
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.chains.views import View

KEPT = 12  # records, those on show included
ROUGH_CALLS = 6  # of the network, for a first picture

Key = tuple[Any, int, SampleSpec]  # the source or the parent's key, where that is left, and the chain


class Tracks:
    """Makes the record of every track of a tree, or finds it again. Used by one background job at a time."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, Trajectory] = OrderedDict()

    def build(self, source: Source, tree: ChainTree, device: torch.device) -> tuple[Trajectory, ...]:
        """One record for each track; those that were made before are as far as they had come.

        Raises:
            Refused: a chain that cannot be run; the message is a sentence for a person.
        """
        keys: list[Key] = []
        found: list[Trajectory] = []
        for track in tree.tracks:
            chain, number = Chain(source, fitting(tree.spec_of(track), source), device), tree.parent_of(track)
            parent = found[number] if track else None
            leaves = 0 if parent is None else place_of(parent.times[:-1], tree.branches[track - 1].time)
            key = (id(source) if parent is None else keys[number], leaves, chain.spec)
            record = self._kept.get(key) or Trajectory(chain, self._room(keys), parent, leaves)
            keys.append(key)
            found.append(record)
            self._kept[key] = record
            self._kept.move_to_end(key)
        while len(self._kept) > max(KEPT, len(found)):
            self._kept.popitem(last=False)
        return tuple(found)

    def clear(self) -> None:
        self._kept.clear()

    def _room(self, needed: Sequence[Key]) -> int:
        """Bytes of memory left to a new record; older ones, but for those `needed`, go first."""
        used = sum(record.size for record in self._kept.values() if not record.on_disk)
        while used > MEMORY_CAP // 2 and len(self._kept) > len(needed):
            oldest = next(key for key in self._kept if key not in needed)
            gone = self._kept.pop(oldest)
            used -= 0 if gone.on_disk else gone.size
        return max(MEMORY_CAP - used, 0)


class Readable:
    """Remembers which images could be read, so that each is tried once. Used by one background job."""

    def __init__(self) -> None:
        self._known: set[tuple[str, tuple[int, int], int]] = set()

    def check(self, files: tuple[str, ...], source: Source) -> None:
        """Raises Refused, with a sentence, for a file that is no image."""
        for file in files:
            key = (file, source.sides, source.channels)
            if key not in self._known:
                read_images([file], source.sides, source.channels)
                self._known.add(key)


@dataclass(frozen=True, eq=False)
class _Planned:
    """A track of which no step is computed."""

    chain: Chain
    parent: _Planned | None = None
    leaves: int = 0  # the parent's state at which it begins

    @property
    def times(self) -> tuple[int, ...]:
        before = () if self.parent is None else self.parent.times[: self.leaves]
        return (*before, *self.chain.times)

    def origin_at(self, k: int) -> Origin:
        """Where a branch begins that leaves at state k."""
        if self.parent is not None and k < self.leaves:
            return self.parent.origin_at(k)
        return self.chain.origin_at(k - self.leaves)


def check(source: Source, tree: ChainTree, device: torch.device) -> None:
    """Raises Refused, with a sentence, when a chain of the tree has a step that cannot be taken."""
    known: list[_Planned] = []
    for track in tree.tracks:
        spec, origin, parent, leaves = fitting(tree.spec_of(track), source), None, None, 0
        if track:
            parent = known[tree.parent_of(track)]
            leaves = place_of(parent.times[:-1], tree.branches[track - 1].time)
            origin = parent.origin_at(leaves)
        chain = Chain(source, spec, device, origin)
        try:
            _ = chain.updates
            chain.check_guide()
        except Refused as error:
            if track == tree.active:
                raise
            raise Refused(tr("In “{track}”: {error}", track=tree.label_of(track), error=error)) from None
        known.append(_Planned(chain, parent, leaves))


def fitting(spec: SampleSpec, source: Source) -> SampleSpec:
    """The spec as this denoiser can follow it: a class it does not have becomes none, S at most T."""
    by_classifier = spec.guide.needs == "classifier"
    known = len(source.classifier_names) if by_classifier else source.classes
    label = spec.label if spec.label < known else -1
    return spec.model_copy(update={"label": label, "steps": min(spec.steps, source.tables.steps)})


def place_of(times: tuple[int, ...], time: float) -> int:
    """The number of the state nearest to a time."""
    return int(np.abs(np.asarray(times) - time).argmin())


def rough_picture(record: Trajectory, time: float, view: View) -> NDArray[np.uint8] | None:
    """A first picture of the state at `time`, from a chain of a few steps; None where that makes no sense.

    Only x̂_0 and the image itself look much the same after so few steps.
    """
    chain, parent = record.chain, record.parent
    if view != "x0_hat" or record.ready > record.leaves or chain.spec.start.is_given:
        return None
    if parent is not None and parent.ready <= record.leaves:
        return None
    target = place_of(chain.times, time)
    visited = few_times(chain, target)
    if not visited:
        return None
    first = None if parent is None else parent.exact(record.leaves)
    rough = replace(chain, only=visited)
    try:
        *_, last = rough.steps() if first is None else rough.steps(0, first.x, first.past)
    except Refused:  # a σ that is allowed in small steps but not in such large ones
        return None
    found = last.x_s if target == len(chain.times) - 1 else last.prediction.x0_hat
    return to_picture(chain.source.pictures(found))


def few_times(chain: Chain, target: int) -> tuple[int, ...]:
    """So few of a chain's times that lead to the estimate at state `target`; none where all are few."""
    times, calls = chain.times, chain.spec.sampler.calls
    steps = max(n for n in range(1, ROUGH_CALLS + 1) if n == 1 or calls(n) <= ROUGH_CALLS)
    if len(times) - 1 <= steps:
        return ()
    if target == len(times) - 1:  # the image itself
        return tuple(times[k] for k in _evenly(target, steps + 1))
    return (*(times[k] for k in _evenly(target, steps)), times[target + 1])


def _evenly(last: int, count: int) -> list[int]:
    """At most so many numbers from 0 to `last`, both of them among them."""
    inner = np.linspace(0, last, count).round().astype(int)
    return sorted({0, last, *inner.tolist()})


def to_picture(values: torch.Tensor) -> NDArray[np.uint8]:
    """What the eye sees of values in [−1, 1]. (n, C, H, W) → (n, H, W′, 1 or 3)"""
    return to_pictures(values.float().cpu().numpy())

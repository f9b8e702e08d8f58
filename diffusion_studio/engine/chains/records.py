"""The records of a chain and its branches, kept as long as memory allows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_studio.core.refused import Refused
from diffusion_studio.data.imageset import to_uint8
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

Key = tuple[Any, ...]


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
            spec = fitting(tree.spec_of(track), source)
            parent = tree.parent_of(track)
            if parent < 0:
                key: Key = (id(source), spec.model_dump_json())
                found.append(self._kept.get(key) or Trajectory(Chain(source, spec, device), self._room(keys)))
            else:
                leaves = place_of(found[parent].times[:-1], tree.branches[track - 1].time)
                key = (keys[parent], leaves, spec.model_dump_json())
                found.append(
                    self._kept.get(key)
                    or Trajectory(Chain(source, spec, device), self._room(keys), found[parent], leaves)
                )
            keys.append(key)
            self._kept[key] = found[-1]
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
        self._known: set[tuple[str, int, int]] = set()

    def check(self, files: tuple[str, ...], source: Source) -> None:
        """Raises Refused, with a sentence, for a file that is no image."""
        for file in files:
            key = (file, source.resolution, source.channels)
            if key not in self._known:
                read_images([file], source.resolution, source.channels)
                self._known.add(key)


def check(source: Source, tree: ChainTree, device: torch.device) -> None:
    """Raises Refused, with a sentence, when a chain of the tree has a step that cannot be taken."""
    known: list[tuple[int, ...]] = []  # times of the tracks
    for track in tree.tracks:
        spec, origin = fitting(tree.spec_of(track), source), None
        before: tuple[int, ...] = ()
        if track:
            times = known[tree.parent_of(track)]
            leaves = place_of(times[:-1], tree.branches[track - 1].time)
            before = times[:leaves]
            origin = Origin(times[leaves], before[-1] if before else None)
        chain = Chain(source, spec, device, origin)
        try:
            _ = chain.updates
            chain.check_guide()
        except Refused as error:
            if track == tree.active:
                raise
            raise Refused(f"In “{tree.label_of(track)}”: {error}") from None
        known.append((*before, *chain.times))


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
    if view != "x0_hat" or record.ready > record.leaves or record.chain.spec.start.kind != "noise":
        return None
    if record.parent is not None and record.parent.ready <= record.leaves:
        return None
    chain = record.chain
    steps = max(n for n in range(1, ROUGH_CALLS + 1) if n == 1 or chain.spec.sampler.calls(n) <= ROUGH_CALLS)
    times = chain.times
    target = place_of(times, time)
    if len(times) - 1 <= steps:
        return None
    inner = np.linspace(0, target, steps + 1 if target == len(times) - 1 else steps).round().astype(int)
    visited = [times[k] for k in sorted({0, target, *inner.tolist()})]
    if target < len(times) - 1:
        visited.append(times[target + 1])
    first = None if record.parent is None else record.parent.exact(record.leaves)
    rough = Chain(chain.source, chain.spec, chain.device, chain.origin, tuple(visited))
    try:
        *_, last = rough.steps() if first is None else rough.steps(0, first.x, first.past)
    except Refused:  # a σ that is allowed in small steps but not in such large ones
        return None
    values = last.x_s if target == len(times) - 1 else last.prediction.x0_hat
    return to_picture(values)


def to_picture(values: torch.Tensor) -> NDArray[np.uint8]:
    """(n, C, H, W) in [−1, 1] → (n, H, W, C)"""
    return to_uint8(values.float().cpu().numpy()).transpose(0, 2, 3, 1)

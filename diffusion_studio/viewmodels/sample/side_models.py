"""What is worked out beside a chain: the nearest training images, and how well an image comes back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary, ref

import numpy as np
import torch
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.words import number
from diffusion_studio.data.decode import Frame, decode
from diffusion_studio.data.errors import BadImage
from diffusion_studio.data.imageset import ImageSet, to_uint8
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.neighbours import nearest, remembered
from diffusion_studio.engine.chains.reconstruction import reconstructions
from diffusion_studio.engine.chains.sample_spec import NO_CLASS
from diffusion_studio.engine.chains.source import Source, training_images
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.evaluation.few_calls import FewCalls, few_calls, most_steps
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.quality import QualitySpace
from diffusion_studio.viewmodels.job import Post, Slot

ROWS, COUNT = 5, 3
THUMBNAIL = 64
CALLS_SAMPLES = 250  # of each rule

Spec = tuple[object, ...]


@dataclass(frozen=True, eq=False)
class NearestFound(events.Event):
    """For some samples: x̂_0, what the memorising denoiser sees, and the nearest training images."""

    images: NDArray[np.uint8]  # (rows · (2 + k), H, W, C)
    captions: tuple[str, ...]
    columns: int
    closest: float  # the smallest distance of all


class NearestModel(QObject):
    """Looks for the training images nearest to what is shown."""

    found = Signal(object)  # NearestFound
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._slot = Slot(self)
        self._slot.told.connect(self._on_event)
        self._images: tuple[str, ImageSet] | None = None

    def look(self, key: str, record: Trajectory, position: int) -> None:
        """Compares the estimates at a state with the training images of the denoiser `key`."""
        position = min(position, record.ready - 1)
        if position < 0:
            return

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            images = self._training_images(key)
            states = torch.from_numpy(record.x0_hat(position)[:ROWS])
            samples = record.chain.source.pictures(states).cpu().numpy()
            neighbours = nearest(samples, images, COUNT)
            memory = remembered(record, position, images, len(samples))
            apart = np.sqrt(((samples - memory) ** 2).reshape(len(samples), -1).mean(1))
            cells, captions = [], []
            for row in range(len(samples)):
                cells += [to_uint8(samples[row]), to_uint8(memory[row])]
                captions += ["", number(apart[row], ".3f")]
                for index, distance in zip(neighbours.indices[row], neighbours.distances[row], strict=True):
                    cells.append(images.images[index])
                    captions.append(number(distance, ".3f"))
            grid = np.ascontiguousarray(np.stack(cells).transpose(0, 2, 3, 1))
            columns = len(cells) // len(samples)
            yield NearestFound(grid, tuple(captions), columns, float(neighbours.distances.min()))

        self._slot.start(stream)

    def _training_images(self, key: str) -> ImageSet:
        if self._images is None or self._images[0] != key:
            self._images = key, training_images(key)
        return self._images[1]

    def _on_event(self, event: events.Event) -> None:
        match event:
            case NearestFound():
                self.found.emit(event)
            case events.Finished(outcome="failed", message=message):
                self.failed.emit(message)

    def shutdown(self) -> None:
        self._slot.finish(60_000)
        self._images = None


@dataclass(frozen=True, eq=False)
class ErrorFound(events.Event):
    """How far the image that came back is from the one that was inverted."""

    steps: int
    error: float  # the mean over the images


class ReconstructionModel(QObject):
    """Works out the error of inversion and reconstruction over the number of steps."""

    changed = Signal(object)  # list[ErrorFound]

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._slot = Slot(self)
        self._slot.told.connect(self._on_event)
        self._errors: list[ErrorFound] = []
        self._of: object = None

    @property
    def errors(self) -> tuple[ErrorFound, ...]:
        """Those found so far, by rising number of steps."""
        return tuple(self._errors)

    def look(self, record: Trajectory) -> None:
        """Begins, unless it is at work for the same images, model and times already."""
        chain = record.chain
        spec = chain.spec
        of = (ref(chain.source), spec.start, spec.spacing, spec.label, spec.guidance, spec.clip)
        if of == self._of:
            return
        self._of = of
        self._errors = []
        self.changed.emit([])

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            for found in reconstructions(chain):
                if control.stopped:
                    return
                if found is not None:
                    yield ErrorFound(found.steps, float(found.errors.mean()))

        self._slot.start(stream)

    def stop(self) -> None:
        self._of = None
        self._slot.drop()

    def _on_event(self, event: events.Event) -> None:
        if isinstance(event, ErrorFound):
            self._errors.append(event)
            self.changed.emit(list(self._errors))

    def shutdown(self) -> None:
        self._slot.finish(60_000)


@dataclass(frozen=True, eq=False)
class ThumbnailsRead(events.Event):
    """Small pictures of files, and why some have none."""

    images: dict[str, NDArray[np.uint8]]  # (H, W, 3)
    errors: dict[str, str]


class ThumbnailModel(QObject):
    """Reads small pictures of image files."""

    found = Signal(object, object)  # as in ThumbnailsRead

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._slot = Slot(self)
        self._slot.told.connect(self._on_event)

    def read(self, files: Sequence[str]) -> None:
        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            images, errors = {}, {}
            for file in files:
                try:
                    images[file] = decode(Path(file), Frame(THUMBNAIL, 3)).pixels
                except BadImage as error:
                    errors[file] = error.reason
                if control.stopped:
                    return
            yield ThumbnailsRead(images, errors)

        self._slot.start(stream)

    def _on_event(self, event: events.Event) -> None:
        if isinstance(event, ThumbnailsRead):
            self.found.emit(event.images, event.errors)

    def shutdown(self) -> None:
        self._slot.finish(60_000)


@dataclass(frozen=True, eq=False)
class CallsFound(events.Event):
    """What is measured so far, and how much of the work is done."""

    found: FewCalls | None
    share: float


@dataclass(frozen=True)
class CallsState:
    """How few calls of the network are as good as fifty, as far as it is known."""

    found: FewCalls | None = None
    measuring: bool = False
    share: float = 0.0
    complete: bool = False  # whether all was measured that had to be
    message: str = ""  # why there is nothing


class CallsModel(QObject):
    """Measures how few calls are as good as fifty when it is asked to; kept as long as the denoiser is."""

    changed = Signal(object)  # CallsState
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._slot = Slot(self)
        self._slot.told.connect(self._on_event)
        self._known: WeakKeyDictionary[Source, dict[Spec, FewCalls]] = WeakKeyDictionary()
        self._of: tuple[ref[Source], Spec] | None = None
        self.state = CallsState()

    def look(self, chain: Chain) -> None:
        """Shows what is known of a chain's denoiser with its guidance, whatever the rule of its steps."""
        of = ref(chain.source), _that_matters(chain)
        if of != self._of:
            self._slot.drop()
            self._of = of
            known = self._known.get(chain.source, {}).get(of[1])
            self._show(CallsState(known, complete=known is not None))

    def measure(self, key: str, chain: Chain) -> None:
        """Begins to measure the chain of the denoiser `key`."""
        self._of = ref(chain.source), _that_matters(chain)
        self._show(CallsState(measuring=True))

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            space = QualitySpace(training_images(key).images)
            found, most = None, most_steps(chain.source.tables.steps)
            for done, told in enumerate(few_calls(chain, space, CALLS_SAMPLES)):
                if control.stopped:
                    return
                found = told or found
                yield CallsFound(found, min(done / most, 1.0))

        self._slot.start(stream)

    def stop(self) -> None:
        """Ends the measuring; what is measured stays."""
        self._slot.stop()

    def _on_event(self, event: events.Event) -> None:
        match event:
            case CallsFound(found=found, share=share):
                self._show(CallsState(found, True, share))
            case events.Finished(outcome="failed", message=message):
                self._show(CallsState(message=message))
                self.failed.emit(message)
            case events.Finished(outcome=outcome):
                self._end(outcome == "done")

    def _end(self, complete: bool) -> None:
        found, source = self.state.found, None if self._of is None else self._of[0]()
        if complete and found is not None and self._of is not None and source is not None:
            self._known.setdefault(source, {})[self._of[1]] = found
        self._show(CallsState(found, complete=complete))

    def _show(self, state: CallsState) -> None:
        self.state = state
        self.changed.emit(state)

    def shutdown(self) -> None:
        self._slot.finish(60_000)


def _that_matters(chain: Chain) -> Spec:
    """Of the spec, what the measure depends on: all but start, number and the rule of the steps."""
    spec = chain.spec
    return spec.label == NO_CLASS, spec.guidance, spec.guide, spec.curve, spec.clip, spec.seed

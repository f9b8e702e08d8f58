"""The linear case beside what was learned: worked out in a job whenever data, k, σ² or the network change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.autoencoder.principal import PrincipalComponents
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.autoencoder.exact import (
    ExactCase,
    LearnedLinear,
    exact_case,
    learned_linear,
    principal_parts,
)
from diffusion_studio.engine.autoencoder.model import CodeModel
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.viewmodels.job import Post, Slot

TURNED_ON = 5000  # images that the turned code is tried on


@dataclass(frozen=True, eq=False)
class _Found(events.Event):
    parts: PrincipalComponents | None
    case: ExactCase | None
    learned: LearnedLinear | None


@dataclass(frozen=True, eq=False)
class ExactState:
    """What is known of the linear case; `possible` says whether the images are small enough."""

    variance: float = 0.05
    size: int = 2
    case: ExactCase | None = None
    learned: LearnedLinear | None = None
    possible: bool = True
    turns: int = 0  # how often the code was turned


class ExactLinear(QObject):
    """Keeps the exact case up to date with what is chosen."""

    changed = Signal(object)  # ExactState
    failed = Signal(str, str)  # a sentence, the traceback

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._slot = Slot(self)
        self._slot.told.connect(self._on_event)
        self._images: ImageSet | None = None
        self._parts: PrincipalComponents | None = None
        self._model: CodeModel | None = None
        self.state = ExactState()

    def set_images(self, images: ImageSet) -> None:
        """Other data."""
        if images is not self._images:
            self._images, self._parts = images, None
            self._update()

    def set_size(self, size: int) -> None:
        """Another size of the code."""
        if size != self.state.size:
            self._update(size=size)

    def set_variance(self, variance: float) -> None:
        """σ² of the decoder, dragged across the eigenvalues."""
        if variance != self.state.variance:
            self._update(variance=variance)

    def set_model(self, model: CodeModel | None) -> None:
        """What was learned until now."""
        self._model = model
        self._update()

    def turn(self) -> None:
        """Turns the code by another random matrix."""
        self._update(turns=self.state.turns + 1)

    def shutdown(self) -> None:
        self._slot.finish()

    def _update(self, **values: object) -> None:
        self.state = replace(self.state, **values)  # type: ignore[arg-type]
        images, parts, model, state = self._images, self._parts, self._model, self.state
        if images is None:
            return

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            known = parts or principal_parts(images.images)
            if known is None:
                yield _Found(None, None, None)
                return
            size = min(state.size, len(known.values) - 1)
            shape = (images.channels, images.resolution, images.resolution)
            case = exact_case(known, size, state.variance, shape)
            fits = model is not None and model.shape == shape
            some = images.images[:TURNED_ON]
            learned = learned_linear(model, known, some, state.turns) if model is not None and fits else None
            yield _Found(known, case, learned)

        self._slot.start(stream)

    def _on_event(self, event: events.Event) -> None:
        if isinstance(event, _Found):
            self._parts = event.parts
            found = {"case": event.case, "learned": event.learned, "possible": event.parts is not None}
            self.state = replace(self.state, **found)  # type: ignore[arg-type]
            self.changed.emit(self.state)
        elif isinstance(event, events.Finished) and event.outcome == "failed":
            self.failed.emit(event.message, event.traceback)

"""The images of a training, read beside the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.training.run_data import images_of
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.train.overview import Overview, overview
from diffusion_studio.viewmodels.train.state import DataCardState, data_card

STOPPED = tr("Reading was stopped. Undo brings the images before back.")


def reading_told(post: Post) -> Callable[[int, int], None]:
    """Tells of (done, total) images that are read; before their number is known, of files that are found."""
    return lambda done, total: post(
        events.Preparing(tr("reading images") if total else tr("looking for images"), done, total)
    )


def encoding_told(post: Post) -> Callable[[int, int], None]:
    """Tells of (done, total) images that are encoded."""
    return lambda done, total: post(events.Preparing(tr("encoding images"), done, total))


@dataclass(frozen=True, eq=False)
class DataKnown(events.Event):
    """What the images were when they were read last; whether any has changed is being looked at."""

    images: ImageSet
    multiple: int  # what their sides have to be multiples of


@dataclass(frozen=True, eq=False)
class DataLoaded(events.Event):
    """The images are in memory."""

    images: ImageSet
    multiple: int  # what their sides have to be multiples of


@dataclass(frozen=True, eq=False)
class OverviewFound(events.Event):
    """What there is to see of them."""

    overview: Overview


@dataclass(frozen=True)
class ImagesState:
    """Which images there are, and how far the reading of others is."""

    data: DataCardState | None = None
    reading: tuple[int, int] | None = None  # (done, total) while images are read
    overview: Overview | None = None  # of what is not read at the moment


class ImageLoader(QObject):
    """Reads one set of images after the other; a new one stops the one before.

    Args:
        opened: what could be opened the last time.
    """

    changed = Signal(object)  # ImagesState
    loaded = Signal(object)  # ImageSet
    told = Signal(object)  # Notice: why there are no images

    def __init__(self, opened: DataSpec, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._opened = self._asked = opened
        self._slot = Slot(self)
        self._slot.told.connect(self._on_event)
        self.state = ImagesState()

    def load(self, spec: DataSpec, multiple: Callable[[], int] = lambda: 1) -> None:
        """Reads the images of `spec`.

        Args:
            multiple: finds out what their sides have to be multiples of; files are read for it.
        """

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            of = multiple()

            def known(images: ImageSet) -> None:
                post(DataKnown(images, of))

            images = images_of(spec, of, reading_told(post), lambda: control.stopped, known)
            yield DataLoaded(images, of)
            yield OverviewFound(overview(images))

        self._asked = spec
        self._show(ImagesState(self.state.data, (0, 0)))
        self._slot.start(stream)

    def kept(self, data: DataSpec) -> DataSpec:
        """What of these images is remembered; one that could not be opened makes way for the one before."""
        return data if data.source == self._opened.source else self._opened

    def cancel(self) -> None:
        """Gives up."""
        self._slot.stop()

    def shutdown(self) -> None:
        self._slot.finish()

    def _on_event(self, event: events.Event) -> None:
        match event:
            case events.Preparing(done=done, total=total):
                self._show(ImagesState(self.state.data, (done, total)))
            case DataKnown(images=images, multiple=multiple):
                self._show(ImagesState(data_card(images, self._asked, multiple), self.state.reading))
            case DataLoaded(images=images, multiple=multiple):
                self._opened = self._asked
                self._show(ImagesState(data_card(images, self._asked, multiple)))
                self.loaded.emit(images)
            case OverviewFound(overview=found):
                self._show(replace(self.state, overview=found))
            case events.Finished(outcome="failed", message=message, traceback=traceback):
                self._fail(Notice("error", message, traceback))
            case events.Finished(outcome="stopped"):
                self._fail(Notice("info", STOPPED))
            case events.Finished():
                self._show(replace(self.state, reading=None))

    def _fail(self, notice: Notice) -> None:
        self._show(ImagesState())
        self.told.emit(notice)

    def _show(self, state: ImagesState) -> None:
        if state != self.state:
            self.state = state
            self.changed.emit(state)

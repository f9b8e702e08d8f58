"""The space of codes under the pointer: what a place decodes to, and a map of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from diffusion_studio.engine.autoencoder.model import CodeModel
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.helper_threads import work_alone
from diffusion_studio.engine.runs.autoencoder_config import VAEConfig
from diffusion_studio.viewmodels.job import Post, Slot

Floats = NDArray[np.float32]
TICK = 5  # ms: what is decoded follows the pointer
MAP_SIDE = 15  # pictures in a row of the map
WAY = 9  # pictures on the way between two images
REACH = 3.0  # standard deviations that the map shows


@dataclass(frozen=True, eq=False)
class Decoded(events.Event):
    """Pictures of codes. uint8 (n, H, W, C)"""

    pictures: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class LatentState:
    """Where in the space of codes one stands.

    Args:
        axes: the two latents that the plane shows.
        code: the place. (k,)
        reach: how far the plane goes.
    """

    axes: tuple[int, int] = (0, 1)
    code: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    reach: float = REACH


class LatentSpace(QObject):
    """Decodes places in jobs, always the newest one that was asked for."""

    changed = Signal(object)  # LatentState
    decoded = Signal(object)  # the picture at the place, uint8 (1, H, W, C)
    mapped = Signal(object)  # the map, uint8 (MAP_SIDE², H, W, C), rows from above
    travelled = Signal(object)  # the way between two images, uint8 (WAY, H, W, C)
    failed = Signal(str, str)  # a sentence, the traceback

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._model: CodeModel | None = None
        self._codes = np.empty((0, 0), np.float32)  # of some images, the ends of the way
        self._mapping = False  # whether the map is seen
        self.state = LatentState()
        self._place, self._map, self._way = Slot(self, TICK), Slot(self), Slot(self)
        for slot, signal in (
            (self._place, self.decoded),
            (self._map, self.mapped),
            (self._way, self.travelled),
        ):
            slot.told.connect(_telling(signal.emit, self.failed.emit))

    def set_model(self, model: CodeModel, codes: Floats) -> None:
        """Another network, or the same some steps later."""
        same = self._model is not None and self._model.size == model.size
        self._model, self._codes = model, codes
        reach = self._reach_of(model, codes)
        if not same:
            axes = (0, min(1, model.size - 1))
            self._show(LatentState(axes, np.zeros(model.size, np.float32), reach))
        elif reach != self.state.reach:
            self._show(replace(self.state, reach=reach))
        self.draw_map()
        self._decode_place()

    @staticmethod
    def _reach_of(model: CodeModel, codes: Floats) -> float:
        """Codes of a VAE lie in N(0, I); those of a plain autoencoder anywhere."""
        if isinstance(model.config, VAEConfig) or not codes.size:
            return REACH
        return max(1.0, round(float(np.quantile(np.abs(codes), 0.99)) * 1.1))

    def forget(self) -> None:
        """There is no network any more."""
        self._model = None

    def choose_axes(self, first: int, second: int) -> None:
        """Two other latents for the plane."""
        size = len(self.state.code)
        if 0 <= first < size and 0 <= second < size:
            self._show(replace(self.state, axes=(first, second)))
            self.draw_map()

    def point_at(self, x: float, y: float) -> None:
        """The place under the pointer; the other latents stay."""
        code = self.state.code.copy()
        if not len(code):
            return
        first, second = self.state.axes
        code[second], code[first] = y, x
        self._stand_at(code)

    def set_latent(self, number: int, value: float) -> None:
        """One latent alone."""
        if number < len(self.state.code):
            code = self.state.code.copy()
            code[number] = value
            self._stand_at(code)

    def stand_on(self, image: int) -> None:
        """The code of one of the images that are looked at."""
        if 0 <= image < len(self._codes):
            self._stand_at(self._codes[image].copy())

    def _stand_at(self, code: Floats) -> None:
        self._show(replace(self.state, code=code))
        self._decode_place()

    def _decode_place(self) -> None:
        self._decode(self._place, self.state.code[None])

    def set_mapping(self, mapping: bool) -> None:
        """Whether the map is seen; it is decoded only then."""
        self._mapping = mapping
        self.draw_map()

    def draw_map(self) -> None:
        """Decodes a grid of places over the plane."""
        if self._model is None or not self._mapping:
            return
        first, second = self.state.axes
        places = np.linspace(-self.state.reach, self.state.reach, MAP_SIDE, dtype=np.float32)
        codes = np.repeat(self.state.code[None], MAP_SIDE**2, 0)
        codes[:, second] = np.repeat(places[::-1], MAP_SIDE)
        codes[:, first] = np.tile(places, MAP_SIDE)
        self._decode(self._map, codes)

    def travel(self, first: int, second: int) -> None:
        """The straight way between the codes of two images."""
        if max(first, second) < len(self._codes):
            share = np.linspace(0, 1, WAY, dtype=np.float32)[:, None]
            self._decode(self._way, (1 - share) * self._codes[first] + share * self._codes[second])

    def shutdown(self) -> None:
        for slot in (self._place, self._map, self._way):
            slot.finish()

    def _decode(self, slot: Slot, codes: Floats) -> None:
        model = self._model
        if model is None or codes.shape[1] != model.size:
            return

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            work_alone()  # a few pictures; the other processors are the training's
            yield Decoded(model.decoded(codes))

        slot.start(stream)

    def _show(self, state: LatentState) -> None:
        self.state = state
        self.changed.emit(state)


def _telling(show: Callable[[object], None], fail: Callable[[str, str], None]) -> Callable[[object], None]:
    def tell(event: object) -> None:
        if isinstance(event, Decoded):
            show(event.pictures)
        elif isinstance(event, events.Finished) and event.outcome == "failed":
            fail(event.message, event.traceback)

    return tell

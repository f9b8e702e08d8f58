"""Behind the 2-D page: particles that move over a field, and where in their chain one stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer, Signal

from diffusion_studio.core.denoisers.denoiser import Denoiser
from diffusion_studio.core.denoisers.tilted import Level
from diffusion_studio.core.describe import with_value
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.plane.chain import Make, PlaneChain
from diffusion_studio.engine.plane.export import (
    read_state,
)
from diffusion_studio.engine.plane.field import Window
from diffusion_studio.engine.plane.guide import guided_network
from diffusion_studio.engine.plane.preview import preview
from diffusion_studio.engine.plane.process import Langevin, Process, State
from diffusion_studio.engine.plane.shapes import (
    CLASSES,
    CUSTOM,
    MOST_MODES,
    Mode,
    Modes,
    modes_from_points,
    shape,
)
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.models.score_mlp import ScoreDenoiser
from diffusion_studio.viewmodels.history import History
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.plane.files import PlaneFiles
from diffusion_studio.viewmodels.plane.frames import Draft, Frame, particles_of, quick_particles, start_labels
from diffusion_studio.viewmodels.plane.learning import PlaneLearner
from diffusion_studio.viewmodels.plane.memory import restored, to_remember
from diffusion_studio.viewmodels.plane.meter import PlaneMeter
from diffusion_studio.viewmodels.plane.player import PlanePlayer
from diffusion_studio.viewmodels.plane.pointer import PlanePointer
from diffusion_studio.viewmodels.plane.state import (
    LearningState,
    Look,
    PlaneState,
    method_of,
    methods,
)
from diffusion_studio.viewmodels.plane.tour.card import Action
from diffusion_studio.viewmodels.plane.tour.cards import CARDS

MEASURE_EVERY = 250  # ms
STILL = 60  # ms of rest before a measurement
BRUSH = 0.16  # standard deviation of a drawn dot


class PlaneViewModel(QObject):
    """The state behind the 2-D page. All methods are called on the window's thread."""

    changed = Signal(object)  # PlaneState
    field_changed = Signal(object)  # FieldView
    particles_changed = Signal(object)  # Particles

    def __init__(
        self, spec: PlaneSpec | None = None, look: Look | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        start = spec or PlaneSpec()
        self._history = History(start)
        self._learned: ScoreDenoiser | None = None
        self._preview: State | None = None  # shown until the chain has caught up
        self._window = Window()
        self._processes: dict[str, Process] = {}  # the last one of each method
        self._starts: NDArray[np.int64] = np.empty(0, np.int64)
        self._visible = False
        self._shown: tuple[Any, ...] = ()  # what the field on the screen was made of
        self.state = PlaneState(start, look or Look(), playing=True)
        self.player = PlanePlayer(PlaneChain(start, start.guided()), self.restart, self._maker, self)
        self.learner, self.pointer = PlaneLearner(self), PlanePointer(self)
        self.meter, self.files = PlaneMeter(start.process, self), PlaneFiles(self)
        self._measuring = QTimer(self, interval=MEASURE_EVERY)
        self._still = QTimer(self, interval=STILL, singleShot=True)
        self._connect()
        self._begin(self.player.chain)

    def _connect(self) -> None:
        self.player.moved.connect(self._present)
        self.player.rested.connect(self._rest)
        self.player.changed.connect(self._show_player)
        self.learner.changed.connect(self._show_learning)
        self.learner.learned.connect(self._take_network)
        self.learner.failed.connect(lambda text, trace: self._update(notice=Notice("error", text, trace)))
        self.files.told.connect(lambda notice: self._update(notice=notice))
        self._measuring.timeout.connect(self._measure)
        self._still.timeout.connect(self._measure)

    @property
    def spec(self) -> PlaneSpec:
        return self._history.value

    @property
    def chain(self) -> PlaneChain:
        return self.player.chain

    def level(self, dtype: torch.dtype = torch.float32) -> Level:
        """p_t of the picture, tilted by guidance."""
        return self.spec.guided().level(self.state.t, dtype)

    # --- what the person changes --------------------------------------------------------------------------

    def edit(self, path: str, value: Any) -> None:
        """Changes one parameter; a value that cannot be gets its sentence and changes nothing."""
        if path == "t" and self.state.follows:
            self.player.seek_level(int(value))
            return
        try:
            spec = with_value(self.spec, path, value)
        except Refused as error:
            self._update(errors=((path, str(error)),))
            return
        self._change(spec)

    def settle(self) -> None:
        """Ends one edit: the next undo takes back all of it."""
        self._history.settle()
        self._show_spec()

    def set_spec(self, spec: PlaneSpec, look: Look | None = None) -> None:
        """Another state of the laboratory, as one step that can be undone."""
        if look is not None:
            self.set_look(look)
        self._change(spec)
        self.settle()

    def choose_shape(self, key: str) -> None:
        """Another distribution."""
        self._set_modes(shape(key).make(), key)
        self.select(-1)

    def choose_method(self, key: str) -> None:
        """Another way to move; it comes back with the parameters that it had."""
        known = {m.key: m.process for m in methods()}
        self.set_spec(self.spec.model_copy(update={"process": self._processes.get(key, known[key])}))

    def set_mode(self, index: int, mode: Mode) -> None:
        """One mode is being dragged or edited; `settle` ends it."""
        if 0 <= index < len(self.spec.modes):
            modes = (*self.spec.modes[:index], mode, *self.spec.modes[index + 1 :])
            self._change(self.spec.model_copy(update={"modes": modes, "shape": CUSTOM}))

    def add_mode(self, x: float, y: float) -> None:
        """A new mode, in a class of its own."""
        if len(self.spec.modes) < MOST_MODES and max(abs(x), abs(y)) <= 10:
            label = (max(m.label for m in self.spec.modes) + 1) % CLASSES
            self._set_modes((*self.spec.modes, Mode(x=x, y=y, label=label)), CUSTOM)
            self.select(len(self.spec.modes) - 1)

    def remove_mode(self, index: int) -> None:
        if len(self.spec.modes) > 1:
            self.select(-1)
            self._set_modes((*self.spec.modes[:index], *self.spec.modes[index + 1 :]), CUSTOM)

    def draw(self, stroke: NDArray[np.float64]) -> None:
        """A line drawn by hand joins what was drawn before, or replaces a distribution that was chosen."""
        before: Modes = self.spec.modes if self.spec.shape == CUSTOM else ()
        self._set_modes((*before, *modes_from_points(stroke, BRUSH))[:MOST_MODES], CUSTOM)

    def set_picture(self, modes: Modes) -> None:
        """A picture as a density."""
        self._set_modes(modes, CUSTOM)
        self.select(-1)

    def _set_modes(self, modes: Modes, key: str) -> None:
        self.set_spec(self.spec.model_copy(update={"modes": modes, "shape": key}))

    def select(self, index: int) -> None:
        """The mode whose numbers are shown; −1 for none."""
        self._update(selected=index if index < len(self.spec.modes) else -1)

    def set_brush(self, on: bool) -> None:
        self._update(brush=on, selected=-1 if on else self.state.selected)

    def pick_start(self, x: float, y: float) -> None:
        """The point from which all particles begin."""
        place = {"start": "point", "start_x": min(max(x, -10.0), 10.0), "start_y": min(max(y, -10.0), 10.0)}
        self.set_spec(self.spec.model_copy(update=place))

    def set_look(self, look: Look) -> None:
        """How it is shown."""
        before = self.denoiser()
        self._update(look=look)
        if self.denoiser() is not before:
            self._go_on(self.spec, self.spec)
        self._show_field()
        self._show_particles()

    def set_window(self, window: Window) -> None:
        """The part of the plane that is seen."""
        self._window = window
        self._show_field()

    def undo(self) -> None:
        self._move(self._history.undo)

    def redo(self) -> None:
        self._move(self._history.redo)

    def _change(self, spec: PlaneSpec) -> None:
        self._move(lambda: self._history.change(spec))

    def _move(self, change: Callable[[], None]) -> None:
        before = self.spec
        change()
        spec = self.spec
        if method_of(spec.process):
            self._processes[method_of(spec.process)] = spec.process
        if _law(spec) != _law(before):
            if spec.schedule != before.schedule:
                self._learned = None  # it knows other noise levels
            self._go_on(before, spec)
        self._show_spec()
        self._show_field()

    def _show_spec(self) -> None:
        self._update(
            spec=self.spec, errors=(), can_undo=self._history.can_undo, can_redo=self._history.can_redo,
        )  # fmt: skip

    # --- chains -------------------------------------------------------------------------------------------

    def denoiser(self) -> Denoiser:
        """What moves the particles: the learned score where that is what is shown."""
        shown = self.state.look.field == "learned"
        return (self._network() if shown else None) or self.spec.guided()

    def _network(self) -> Denoiser | None:
        """The network with the guidance of now."""
        spec, network = self.spec, self._learned
        return guided_network(network, spec.guide) if network is not None and spec.guides else network

    def _go_on(self, before: PlaneSpec, spec: PlaneSpec) -> None:
        """A chain for the changed parameters: one level goes on from here, a walk is walked again."""
        same = _start(before) == _start(spec) and type(before.process) is type(spec.process)
        if same and isinstance(spec.process, Langevin):
            here = min(self.player.chain.position, spec.process.steps)
            self._begin(PlaneChain(spec, self.denoiser(), here, self.player.chain.x), anew=False)
        else:
            chain = PlaneChain(spec, self.denoiser())
            stays = same and chain.last == self.player.chain.last
            self._begin(chain, self.player.target if stays else 0)

    def restart(self) -> None:
        """The same from its beginning."""
        self._begin(PlaneChain(self.spec, self.denoiser()))

    def _begin(self, chain: PlaneChain, target: int = 0, anew: bool = True) -> None:
        if anew:
            self._starts = start_labels(chain.x)
            self.meter.begin(chain.spec.process)
        self.player.begin(chain, target)
        self._preview = preview(chain, target) if chain.position != self.player.target else None
        self._present()
        self._show_player()

    def _present(self) -> None:
        """Shows the state at which the chain stands."""
        chain = self.chain
        if chain.position == self.player.target:
            self._preview = None
        position = chain.position if self._preview is None else self.player.target
        t = chain.times[position]
        self._update(
            times=chain.times, first=chain.first, position=position, t=t,
            alpha_bar=chain.denoiser.tables.alpha_bar_at(t),
        )  # fmt: skip
        frame = self._frame()
        self._show_field(frame)
        self._show_particles(frame)

    def _draft(self) -> Draft:
        return Draft(self.state.look, self.spec, self._window, self._network(), self._starts)

    def _maker(self) -> Make | None:
        """Makes the picture of a state to come; none while a preview stands for it."""
        if self._preview is not None:
            return None
        draft, times, shown = self._draft(), self.chain.times, self._shown
        return lambda position, state: draft.frame(times[position], state.x, shown)

    def _frame(self) -> Frame | None:
        """The picture of this state, if it was made before and is still what is asked for."""
        made = self.chain.made
        fits = isinstance(made, Frame) and self._preview is None and made.fits(self._draft())
        return made if fits else None

    def _show_field(self, frame: Frame | None = None) -> None:
        draft, t = self._draft(), self.state.t
        key = draft.field_key(t) if frame is None else frame.key
        if key != self._shown and self._visible:
            self._shown = key
            self.field_changed.emit((frame and frame.field) or draft.field(t))
            if self.pointer.reading is not None:  # what lies under a pointer that rests is another now
                self.point_at(self.pointer.reading.x, self.pointer.reading.y)

    def _show_particles(self, frame: Frame | None = None) -> None:
        if not self._visible:
            return
        draft, t = self._draft(), self.state.t
        if self._preview is not None:
            shown = quick_particles(self._preview, draft.labels(t, self._preview.x))
        else:
            labels = draft.labels(t, self.chain.x) if frame is None else frame.labels
            shown = particles_of(self.chain, draft.look, labels)
        self.particles_changed.emit(shown)

    def _measure(self) -> None:
        if not self._visible or self._preview is not None:
            return
        if not self.player.moving:
            self._measuring.stop()
        self.meter.measure(self.chain, self.level())

    # --- learning, pointing, being seen -------------------------------------------------------------------

    def start_learning(self) -> None:
        """Trains a small network on the shown distribution, from the beginning."""
        self._learned = None
        self.learner.start(self.spec)

    def _show_learning(self, state: LearningState) -> None:
        self.player.set_calm(state.running and not state.paused)
        self._update(learning=state)

    def _take_network(self, denoiser: ScoreDenoiser) -> None:
        self._learned = denoiser
        if self.state.look.field != "exact" and not self.player.moving:  # else it is in the next picture
            self._show_field()
        if self.state.look.field == "learned" and isinstance(self.spec.process, Langevin):
            self.player.chain.replace_denoiser(self.denoiser())

    def apply(self, action: Action) -> None:
        """One of the things to try on a card of the tour."""
        spec, look = action.change(self.spec, self.state.look)
        self.set_look(look)
        self._history.change(spec)
        self._history.settle()
        self.restart()
        self._show_spec()
        self.player.play()
        if action.learns:
            self.start_learning()

    def set_tour(self, number: int) -> None:
        """Shows a card of the tour, the first after the last."""
        self._update(tour=number % len(CARDS))

    def point_at(self, x: float, y: float) -> None:
        """The pointer is over this place of the plane."""
        self.pointer.point_at(x, y, self.state.t, self.spec, self._network())

    def set_visible(self, visible: bool) -> None:
        """Whether the page is seen; a hidden one rests."""
        self._visible = visible
        if visible:
            self._shown = ()
            self._present()
            self._measure()
        self.player.set_awake(visible)
        self._show_player()

    def _rest(self) -> None:
        self._measuring.stop()
        self._show_field()  # of the newest network
        self._still.start()  # once for a whole drag of the timeline

    def _show_player(self) -> None:
        player = self.player
        self._update(playing=player.playing, loop=player.loop, speed=player.speed)
        if player.moving and not self._measuring.isActive():
            self._measuring.start()

    # --- files --------------------------------------------------------------------------------------------

    def export(self, path: Path, frames: Sequence[NDArray[np.uint8]] = ()) -> None:
        """Writes a picture (.png), an animation (.gif, .webp), the particles (.npz) or the state (.json).

        Args:
            frames: the pictures (H, W, 3) of a picture file or an animation.
        """
        self.files.export(path, to_remember(self.state), self.chain.again(), frames)

    def open_state(self, path: Path) -> None:
        """Opens a state, or the state inside a picture."""
        try:
            spec, look = restored(read_state(path))
            if spec is None:
                raise Refused(f"The state in {path.name} cannot be read by this version.")
        except Refused as error:
            self.complain(str(error))
        else:
            self.set_spec(spec, look)

    def complain(self, sentence: str) -> None:
        """Tells what did not work."""
        self._update(notice=Notice("error", sentence))

    # --- the rest -----------------------------------------------------------------------------------------

    def dismiss_notice(self) -> None:
        if self.state.notice is not None:
            self._update(notice=None)

    def shutdown(self) -> None:
        """Stops everything."""
        self._visible = False
        self.player.shutdown()
        self._measuring.stop()
        self._still.stop()
        self.pointer.shutdown()
        self.learner.shutdown()
        self.meter.shutdown()
        self.files.shutdown()

    def _update(self, **values: Any) -> None:
        state = replace(self.state, **values)
        if state != self.state:
            self.state = state
            self.changed.emit(state)


def _start(spec: PlaneSpec) -> tuple[Any, ...]:
    return spec.count, spec.start, spec.start_x, spec.start_y, spec.seed


def _law(spec: PlaneSpec) -> tuple[Any, ...]:
    """What the particles' paths depend on."""
    level = spec.t if isinstance(spec.process, Langevin) else None
    return _start(spec), spec.followed, spec.process, level

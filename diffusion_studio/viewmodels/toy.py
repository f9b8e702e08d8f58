"""Behind the 2-D page: particles that move over a field, and where in their chain one stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Qt, QTimer, Signal

from diffusion_studio.core.denoisers import Denoiser
from diffusion_studio.core.describe import with_value
from diffusion_studio.core.mixture import NoisyMixture
from diffusion_studio.engine.toy_chain import ToyChain
from diffusion_studio.engine.toy_field import Window, error_view, exact_view, learned_view
from diffusion_studio.engine.toy_measures import measure
from diffusion_studio.engine.toy_process import Langevin, Process
from diffusion_studio.engine.toy_shapes import (
    CLASSES,
    CUSTOM,
    MOST_MODES,
    Mode,
    Modes,
    modes_from_points,
    shape,
)
from diffusion_studio.engine.toy_spec import ToySpec
from diffusion_studio.viewmodels.history import History
from diffusion_studio.viewmodels.toy_state import (
    Comparison,
    Course,
    Look,
    Particles,
    ToyState,
    method_of,
    method_title,
    methods,
)

FRAME = 16  # ms
STEPS_PER_SECOND = 60.0  # of playing at speed 1
MEASURE_EVERY = 250  # ms
PATIENCE = 0.010  # seconds of one frame that may go into catching up
TRAIL, TRAILS, WHOLE = 40, 40, 24  # states of a short trail; how many trails, short and whole
BRUSH = 0.16  # standard deviation of a drawn dot


class ToyViewModel(QObject):
    """The state behind the 2-D page. All methods are called on the window's thread."""

    changed = Signal(object)  # ToyState
    field_changed = Signal(object)  # FieldView
    particles_changed = Signal(object)  # Particles
    measured = Signal(object)  # Comparison

    def __init__(
        self, spec: ToySpec | None = None, look: Look | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        start = spec or ToySpec()
        self._history = History(start)
        self._chain = ToyChain(start, start.denoiser())
        self._learned: Denoiser | None = None
        self._window = Window()
        self._processes: dict[str, Process] = {}  # the last one of each method
        self._starts: NDArray[np.int64] = np.empty(0, np.int64)
        self._now, self._before = Course(method_title(start.process)), None
        self._target = 0
        self._place = 0.0  # where playing stands, between two states
        self._factor = 1.0
        self._visible = False
        self._shown: tuple[Any, ...] = ()  # what the field on the screen was made of
        self._timer = QTimer(self, interval=FRAME, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._measuring = QTimer(self, interval=MEASURE_EVERY)
        self._measuring.timeout.connect(self._measure)
        self.state = ToyState(start, look or Look(), playing=True)
        self._begin(self._chain)

    @property
    def spec(self) -> ToySpec:
        return self._history.value

    @property
    def chain(self) -> ToyChain:
        return self._chain

    def level(self, dtype: torch.dtype = torch.float32) -> NoisyMixture:
        """p_t of the picture."""
        return self.spec.denoiser().level(self.state.t, dtype)

    # --- what the person changes --------------------------------------------------------------------------

    def edit(self, path: str, value: Any) -> None:
        """Changes one parameter; a value that cannot be gets its sentence and changes nothing."""
        if path == "t" and self.state.follows:
            self.seek_level(int(value))
            return
        try:
            spec = with_value(self.spec, path, value)
        except ValueError as error:
            self._update(errors=((path, str(error)),))
            return
        self._change(spec)

    def settle(self) -> None:
        """Ends one edit: the next undo takes back all of it."""
        self._history.settle()
        self._show_spec()

    def set_spec(self, spec: ToySpec, look: Look | None = None) -> None:
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
        self._update(look=look)
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

    def _change(self, spec: ToySpec) -> None:
        self._move(lambda: self._history.change(spec))

    def _move(self, change: Callable[[], None]) -> None:
        before = self.spec
        change()
        spec = self.spec
        if method_of(spec.process):
            self._processes[method_of(spec.process)] = spec.process
        self._show_spec()
        if _law(spec) != _law(before):
            self._go_on(before, spec)
        self._show_field()

    def _show_spec(self) -> None:
        self._update(
            spec=self.spec, errors=(), can_undo=self._history.can_undo, can_redo=self._history.can_redo,
        )  # fmt: skip

    # --- chains -------------------------------------------------------------------------------------------

    def denoiser(self) -> Denoiser:
        """What moves the particles: the learned score where that is what is shown."""
        learned = self._learned if self.state.look.field == "learned" else None
        return learned or self.spec.denoiser()

    def _go_on(self, before: ToySpec, spec: ToySpec) -> None:
        """A chain for the changed parameters: one level goes on from here, a walk is walked again."""
        same = _start(before) == _start(spec) and type(before.process) is type(spec.process)
        if same and isinstance(spec.process, Langevin):
            here = min(self._chain.position, spec.process.steps)
            self._begin(ToyChain(spec, self.denoiser(), here, self._chain.x), anew=False)
        else:
            chain = ToyChain(spec, self.denoiser())
            stays = same and chain.last == self._chain.last
            self._begin(chain, self._chain.position if stays else 0)

    def restart(self) -> None:
        """The same from its beginning."""
        self._begin(ToyChain(self.spec, self.denoiser()))

    def _begin(self, chain: ToyChain, target: int = 0, anew: bool = True) -> None:
        self._chain, self._target = chain, max(target, chain.first)
        self._place = float(self._target)
        if anew:
            x = chain.x.numpy()
            self._starts = ((np.arctan2(x[:, 1], x[:, 0]) / (2 * np.pi) + 0.5) * CLASSES).astype(
                np.int64
            ) % CLASSES
            title = method_title(chain.spec.process)
            if title != self._now.title and self._now.last is not None:
                self._before = self._now
            self._now = Course(title)
        self._chain.go(self._target, PATIENCE)
        self._update(times=chain.times, first=chain.first)
        self._present()
        self._wake()

    def _present(self) -> None:
        """Shows the state at which the chain stands."""
        t = self._chain.times[self._chain.position]
        alpha_bar = self._chain.denoiser.tables.alpha_bar_at(t)
        self._update(position=self._chain.position, t=t, alpha_bar=alpha_bar)
        self._show_field()
        self._show_particles()

    def _show_field(self) -> None:
        look, spec = self.state.look, self.spec
        made_of = (look.field, self.state.t, spec.modes, spec.schedule, self._window, self._learned)
        if made_of == self._shown or not self._visible:
            return
        self._shown = made_of
        level, learned = self.level(), self._learned
        if look.field == "learned" and learned is not None:
            view = learned_view(level, learned, self.state.t, self._window)
        elif look.field == "error" and learned is not None:
            view = error_view(level, learned, self.state.t, self._window)
        else:
            view = exact_view(level, self._window)
        self.field_changed.emit(view)

    def _show_particles(self) -> None:
        if not self._visible:
            return
        x, look, position = self._chain.x, self.state.look, self._chain.position
        labels = self._labels(x)
        count = min(WHOLE if look.trails == "whole" else TRAILS, len(x))
        since = position - TRAIL if look.trails == "short" else 0
        paths = self._chain.paths(since if look.trails != "off" else position, position)[:, :count]
        if look.trails == "whole" and self.spec.start == "point":
            along = tuple(k % CLASSES for k in range(count))
        else:
            along = () if labels is None else tuple(labels[:count].tolist())
        self.particles_changed.emit(Particles(x.numpy(), labels, paths, along))

    def _labels(self, x: torch.Tensor) -> NDArray[np.int64] | None:
        """The colour of each particle."""
        match self.state.look.color:
            case "class" if self.spec.mixture().class_count > 1:
                with torch.inference_mode():
                    return self.level().class_posterior(x).argmax(1).numpy()
            case "start":
                return self._starts
        return None

    def _measure(self) -> None:
        if not self._visible:
            return
        process = self.spec.process
        step, heat = (process.step, process.heat) if isinstance(process, Langevin) else (0.0, 1.0)
        found = measure(self.level(), self._chain.x, self.state.position, self.state.t, step, heat)
        self._now = self._now.with_measures(found)
        self.measured.emit(Comparison(self._now, self._before, self._chain.last))

    # --- moving about -------------------------------------------------------------------------------------

    def seek(self, position: int) -> None:
        """Goes to a state; what is not computed yet is computed over the next frames."""
        self._target = min(max(position, self._chain.first), self._chain.last)
        self._place = float(self._target)
        self._approach()
        self._wake()

    def seek_level(self, t: int) -> None:
        """Goes to the state of a walk that is nearest to a noise level, on the leg where one stands."""
        times, here = self._chain.times, self._chain.position
        top = times.index(max(times))
        leg = range(top, len(times)) if here >= top and top < len(times) - 1 else range(top + 1)
        self.seek(min(leg, key=lambda k: abs(times[k] - t)))

    def step(self, by: int) -> None:
        self.stop_playing()
        self.seek(self._chain.position + by)

    def toggle_playing(self) -> None:
        if self.state.playing:
            self.stop_playing()
        else:
            self.play()

    def play(self, factor: float = 1.0) -> None:
        """Plays at `factor` times the speed, backwards when negative; begins anew at an end."""
        self._factor = factor
        if factor > 0 and self._chain.position >= self._chain.last:
            self.restart() if self._chain.first else self.seek(0)
        elif factor < 0 and self._chain.position <= self._chain.first:
            self.seek(self._chain.last)
        self._place = float(self._target)
        self._update(playing=True)
        self._wake()

    def stop_playing(self) -> None:
        self._update(playing=False)
        self._target = self._chain.position
        self._measure()

    def set_loop(self, loop: bool) -> None:
        self._update(loop=loop)

    def set_speed(self, speed: float) -> None:
        self._update(speed=speed)

    def set_visible(self, visible: bool) -> None:
        """Whether the page is seen; a hidden one rests."""
        self._visible = visible
        if visible:
            self._shown = ()
            self._present()
            self._measure()
        self._wake()

    def _wake(self) -> None:
        """Runs the clock exactly while there is something to move."""
        moving = self.state.playing or self._chain.position != self._target
        if moving and self._visible:
            self._timer.start()
            self._measuring.start()
        else:
            self._timer.stop()
            self._measuring.stop()

    def _tick(self) -> None:
        if self.state.playing and self._chain.position == self._target:
            self._place += self._factor * self.state.speed * STEPS_PER_SECOND * FRAME / 1000
            if not self._chain.first <= self._place <= self._chain.last:
                self._at_an_end()
                return
            self._target = int(self._place)
        self._approach()

    def _at_an_end(self) -> None:
        if not self.state.loop:
            self._place = min(max(self._place, self._chain.first), self._chain.last)
            self._target = int(self._place)
            self._approach()
            self.stop_playing()
        elif self._factor > 0:
            self.restart() if self._chain.first else self.seek(0)
        else:
            self.seek(self._chain.last)

    def _approach(self) -> None:
        before = self._chain.position
        there = self._chain.go(self._target, PATIENCE)
        if self._chain.position != before:
            self._present()
        if there and not self.state.playing:
            self._wake()
            self._measure()

    # --- the rest -----------------------------------------------------------------------------------------

    def dismiss_notice(self) -> None:
        if self.state.notice is not None:
            self._update(notice=None)

    def shutdown(self) -> None:
        """Stops everything."""
        self._visible = False
        self._wake()

    def _update(self, **values: Any) -> None:
        state = replace(self.state, **values)
        if state != self.state:
            self.state = state
            self.changed.emit(state)


def _start(spec: ToySpec) -> tuple[Any, ...]:
    return spec.count, spec.start, spec.start_x, spec.start_y, spec.seed


def _law(spec: ToySpec) -> tuple[Any, ...]:
    """What the particles' paths depend on."""
    level = spec.t if isinstance(spec.process, Langevin) else None
    return _start(spec), spec.modes, spec.schedule, spec.process, level

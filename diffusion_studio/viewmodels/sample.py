"""Behind the Sample page: one trajectory of one denoiser, and where in it the person stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer, Signal

from diffusion_studio.core.describe import with_value
from diffusion_studio.core.update import Update
from diffusion_studio.data.spec import DIGITS
from diffusion_studio.engine import events
from diffusion_studio.engine.control import Control
from diffusion_studio.engine.devices import choose_device, device_name
from diffusion_studio.engine.export import save_trajectory
from diffusion_studio.engine.sample_spec import SampleSpec
from diffusion_studio.engine.sampling import Chain, Source
from diffusion_studio.engine.trajectory import Trajectory, View
from diffusion_studio.viewmodels.history import History
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.sources import SourceCache, SourceChoice, list_choices, memorising_choice

STEPS_PER_SECOND = 12.0  # of playing at speed 1
PLAY_TICK = 33  # ms


@dataclass(frozen=True)
class SampleParameters:
    """What can be undone on this page."""

    source: str
    spec: SampleSpec


@dataclass(frozen=True, eq=False)
class TrajectoryBegun(events.Event):
    """A new record; its states become readable one by one."""

    trajectory: Trajectory


@dataclass(frozen=True, eq=False)
class DistancesKnown(events.Event):
    """How far each estimate is from the last one; known when the chain is complete."""

    trajectory: Trajectory
    distances: NDArray[np.float64]  # (S, n)


@dataclass(frozen=True, eq=False)
class ChainCurves:
    """Curves over the chain, one value for each state; NaN where it is not known."""

    times: tuple[int, ...]
    alpha_bar: NDArray[np.float64]
    sigma: NDArray[np.float64]
    eps_norm: NDArray[np.float64]  # mean over the samples
    distance: NDArray[np.float64]  # mean over the samples


@dataclass(frozen=True, eq=False)
class Frame:
    """The pictures of one state."""

    images: NDArray[np.uint8]  # (n, H, W, C)
    captions: tuple[str, ...]


@dataclass(frozen=True)
class StepNumbers:
    """The numbers of the step that begins at the shown state."""

    t: int
    s: int
    update: Update


@dataclass(frozen=True)
class SampleState:
    """Everything on the Sample page but pictures and curves."""

    parameters: SampleParameters
    choices: tuple[SourceChoice, ...] = ()
    model: str = ""  # title of the denoiser that is shown
    model_step: int = 0
    exact: bool = True  # known in closed form, not learned
    class_names: tuple[str, ...] = ()
    total: int = 1000  # T
    times: tuple[int, ...] = ()
    log_snr: tuple[float, ...] = ()
    position: int = 0
    ready: int = 0
    view: View = "x0_hat"
    playing: bool = False
    loop: bool = False
    speed: float = 1.0
    busy: bool = False
    megabytes: float = 0.0
    device: str = ""
    step: StepNumbers | None = None
    errors: tuple[tuple[str, str], ...] = ()
    notice: Notice | None = None
    can_undo: bool = False
    can_redo: bool = False


class SampleViewModel(QObject):
    """The state behind the Sample page. All methods are called on the window's thread."""

    changed = Signal(object)  # SampleState
    frame_changed = Signal(object)  # Frame
    curves_changed = Signal(object)  # ChainCurves

    def __init__(
        self, runs_dir: Path, parameters: SampleParameters | None = None, device: str = "auto",
        parent: QObject | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._runs_dir = runs_dir
        chosen = choose_device(device)
        self._cache = SourceCache(chosen)
        start = parameters or SampleParameters(memorising_choice(DIGITS).key, SampleSpec())
        self._history = History(start)
        self._data_sources: tuple[str, ...] = ()
        self._extra: tuple[str, ...] = ()
        self._trajectory: Trajectory | None = None
        self._distances: NDArray[np.float64] | None = None
        self._wanted: float | None = None  # place in a chain not yet computed, as a share of it
        self._play_position = 0.0
        self._play_factor = 1.0  # times the speed; negative is backwards
        self._computing, self._exporting = Slot(self), Slot(self)
        self._computing.event.connect(self._on_event)
        self._exporting.event.connect(self._on_export)
        self._timer = QTimer(self, interval=PLAY_TICK)
        self._timer.timeout.connect(self._tick)
        self.state = SampleState(start, device=device_name(chosen))

    @property
    def parameters(self) -> SampleParameters:
        return self._history.value

    # --- denoiser and parameters -----------------------------------------------------------------------

    def refresh_choices(self, *data_sources: str) -> None:
        """Looks again which denoisers there are; `data_sources` are data sets at hand."""
        self._data_sources = tuple(dict.fromkeys((*self._data_sources, *data_sources)))
        choices = list_choices(self._runs_dir, self._data_sources, self._extra)
        key = self.parameters.source
        if key not in {c.key for c in choices}:
            choices.append(SourceChoice(key, Path(key).name))
        self._update(choices=tuple(choices))

    def choose_source(self, key: str) -> None:
        """Another denoiser."""
        self._change(replace(self.parameters, source=key), settle=True)

    def open_folder(self, path: Path) -> None:
        """A run or a model folder from anywhere on the disk."""
        self._extra = tuple(dict.fromkeys((*self._extra, str(path))))
        self.refresh_choices()
        self.choose_source(str(path))

    def model_saved(self, run: Path) -> None:
        """A run has a newer checkpoint; if it is the one that is shown, its chain is computed again."""
        self.refresh_choices()
        if self.parameters.source == str(run):
            self.compute()

    def edit(self, path: str, value: Any) -> None:
        """Changes one parameter; a value that cannot be gets its sentence and changes nothing."""
        try:
            spec = with_value(self.parameters.spec, path, value)
        except ValueError as error:
            self._update(errors=((path, str(error)),))
            return
        self._change(replace(self.parameters, spec=spec))

    def settle(self) -> None:
        """Ends one edit: the next undo takes back all of it."""
        self._history.settle()
        self._show_parameters()

    def undo(self) -> None:
        self._move(self._history.undo)

    def redo(self) -> None:
        self._move(self._history.redo)

    def _change(self, parameters: SampleParameters, settle: bool = False) -> None:
        self._move(lambda: self._history.change(parameters))
        if settle:
            self.settle()

    def _move(self, change: Callable[[], None]) -> None:
        """Computes the chain again if `change` changes the parameters."""
        before = self.parameters
        change()
        self._show_parameters()
        if self.parameters != before:
            self.compute()

    def _show_parameters(self) -> None:
        self._update(
            parameters=self.parameters, errors=(),
            can_undo=self._history.can_undo, can_redo=self._history.can_redo,
        )  # fmt: skip

    # --- the chain -------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Computes the chain that the parameters describe; what is shown stays until it has begun."""
        parameters, cache = self.parameters, self._cache

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            source = cache.open(parameters.source)
            trajectory = Trajectory(Chain(source, _fitting(parameters.spec, source), cache.device))
            yield TrajectoryBegun(trajectory)
            for progress in trajectory.compute():
                yield progress
                if control.stopped:
                    return
            yield DistancesKnown(trajectory, trajectory.distance_to_end())

        self._update(busy=True)
        self._computing.start(stream)

    def _on_event(self, event: events.Event) -> None:
        match event:
            case TrajectoryBegun(trajectory=trajectory):
                self._begin(trajectory)
            case events.SamplingProgress():
                self._show_progress()
            case DistancesKnown(trajectory=trajectory, distances=distances) if trajectory is self._trajectory:
                self._distances = distances
                self._show_curves()
            case events.Finished(outcome="failed", message=message, traceback=traceback):
                self._wanted = None if self._trajectory is not None else self._wanted
                self._update(busy=False, notice=Notice("error", message, traceback))
                self._show_progress()
                if self._trajectory is None:
                    self._fall_back()
            case events.Finished():
                self._update(busy=False)
                self._show_progress()

    def _fall_back(self) -> None:
        """Shows the digits when the remembered denoiser is gone, so that the page is never empty."""
        start = replace(self.parameters, source=memorising_choice(DIGITS).key)
        if start.source != self.parameters.source:
            self._history = History(start)
            self._show_parameters()
            self.compute()

    def _begin(self, trajectory: Trajectory) -> None:
        share = self._share()
        self._trajectory, self._distances = trajectory, None
        source = trajectory.chain.source
        fell_back = self.state.notice if not self.state.times else None  # why it is not the wanted denoiser
        notice = Notice("warning", " ".join(source.notes)) if source.notes else fell_back
        tables = source.tables
        self._wanted = share
        self._update(
            model=source.name, model_step=source.step, exact=source.kind == "memorising",
            class_names=source.class_names, total=tables.steps,
            times=trajectory.times, log_snr=tuple(float(tables.log_snr[t]) for t in trajectory.times),
            position=0, ready=0, megabytes=trajectory.size / 1e6, notice=notice, step=None,
        )  # fmt: skip

    def _share(self) -> float:
        """Where the person stands, as a share of the chain; at the image when nothing was shown yet."""
        if self._wanted is not None:
            return self._wanted
        return self.state.position / max(len(self.state.times) - 1, 1) if self.state.times else 1.0

    def _show_progress(self) -> None:
        if self._trajectory is None or self._trajectory.ready == 0:
            return
        ready, last = self._trajectory.ready, self._trajectory.steps
        if ready == self.state.ready:
            return
        self._update(ready=ready)
        if self._wanted is not None:
            target = round(self._wanted * last)
            self._go(min(target, ready - 1))
            if target <= ready - 1:
                self._wanted = None
        self._show_curves()

    # --- moving about ----------------------------------------------------------------------------------

    def seek(self, position: int) -> None:
        """Goes to a state; one that is not computed yet is waited for."""
        if self._trajectory is None:
            return
        last = self._trajectory.steps
        position = min(max(position, 0), last)
        self._wanted = position / last if position >= self._trajectory.ready else None
        self._go(min(position, self._trajectory.ready - 1))

    def stand_at(self, share: float) -> None:
        """Where to stand in the next chain, as a share of it."""
        self._wanted = min(max(share, 0.0), 1.0)

    def step(self, by: int) -> None:
        self.stop_playing()
        self.seek(self.state.position + by)

    def set_view(self, view: str) -> None:
        self._update(view=cast(View, view))
        self._show_frame()

    def _go(self, position: int) -> None:
        if self._trajectory is None or position < 0:
            return
        self._update(position=position, step=self._numbers(position))
        self._show_frame()

    def _numbers(self, position: int) -> StepNumbers | None:
        trajectory = self._trajectory
        if trajectory is None or position >= trajectory.steps:
            return None
        t, s = trajectory.times[position], trajectory.times[position + 1]
        return StepNumbers(t, s, trajectory.chain.updates[position])

    def _show_frame(self) -> None:
        trajectory = self._trajectory
        if trajectory is None or self.state.position >= trajectory.ready:
            return
        images = trajectory.picture(self.state.view, self.state.position)
        self.frame_changed.emit(Frame(images, self._captions(trajectory)))

    def _captions(self, trajectory: Trajectory) -> tuple[str, ...]:
        labels = trajectory.chain.labels()
        names = trajectory.chain.source.class_names
        return () if labels is None else tuple(names[int(k)] for k in labels)

    def _show_curves(self) -> None:
        trajectory = self._trajectory
        if trajectory is None:
            return
        tables, times, known = trajectory.chain.source.tables, trajectory.times, trajectory.estimates
        eps = np.full(len(times), np.nan)
        eps[:known] = trajectory.eps_norm[:known].mean(1)
        distance = np.full(len(times), np.nan)
        if self._distances is not None:
            distance[: len(self._distances)] = self._distances.mean(1)
        alpha_bar, sigma = tables.alpha_bar[list(times)].numpy(), np.append(trajectory.sigma, np.nan)
        self.curves_changed.emit(ChainCurves(times, alpha_bar, sigma, eps, distance))

    # --- playing ---------------------------------------------------------------------------------------

    def toggle_playing(self) -> None:
        if self.state.playing:
            self.stop_playing()
        else:
            self.play()

    def play(self, factor: float = 1.0) -> None:
        """Plays from here at `factor` times the speed, backwards when negative.

        Begins at the other end when there is nothing left.
        """
        if self._trajectory is None:
            return
        self._play_factor = factor
        self._update(playing=True)
        last = self._trajectory.steps
        if factor > 0 and self.state.position >= last:
            self.seek(0)
        elif factor < 0 and self.state.position == 0:
            self.seek(last)
        self._play_position = float(self.state.position)
        self._timer.start()

    def stop_playing(self) -> None:
        self._timer.stop()
        self._update(playing=False)

    def set_loop(self, loop: bool) -> None:
        self._update(loop=loop)

    def set_speed(self, speed: float) -> None:
        self._update(speed=speed)

    def _tick(self) -> None:
        if self._trajectory is None or (self._wanted is not None and self.state.busy):
            return  # waits for the chain to be computed up to where it stands
        last = self._trajectory.steps if self.state.busy else self._trajectory.ready - 1
        if round(self._play_position) != self.state.position:  # moved by hand meanwhile
            self._play_position = float(self.state.position)
        speed = self.state.speed * self._play_factor
        self._play_position += speed * STEPS_PER_SECOND * PLAY_TICK / 1000
        if not 0 <= self._play_position <= last:
            if self.state.loop:
                self._play_position = 0.0 if speed > 0 else float(last)
            else:
                self._play_position = min(max(self._play_position, 0.0), float(last))
                self.stop_playing()
        position = round(self._play_position)
        if position != self.state.position:
            self.seek(position)

    # --- export ----------------------------------------------------------------------------------------

    def export(self, path: Path) -> None:
        """Writes the shown state (.png), the chain (.gif) or every number (.npz), beside the window."""
        trajectory, view, position = self._trajectory, self.state.view, self.state.position
        if trajectory is None or self._exporting.busy:
            what = "The export before is not finished yet." if trajectory else "There is no chain yet."
            self._update(notice=Notice("info", what))
            return
        settings = {
            "model": self.state.model, "step": self.state.model_step, "source": self.parameters.source,
            "sample": trajectory.chain.spec.model_dump(mode="json"), "view": view, "position": position,
        }  # fmt: skip

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            try:
                save_trajectory(path, trajectory, view, position, settings)
            except OSError as error:
                raise ValueError(f"{path} could not be written: {error.strerror or error}.") from error
            yield events.Finished("done", f"Saved {path}.")

        self._exporting.start(stream)

    def _on_export(self, event: events.Event) -> None:
        if isinstance(event, events.Finished):
            kind = "error" if event.outcome == "failed" else "info"
            self._update(notice=Notice(kind, event.message, event.traceback))

    # --- the rest --------------------------------------------------------------------------------------

    def dismiss_notice(self) -> None:
        if self.state.notice is not None:
            self._update(notice=None)

    def shutdown(self) -> None:
        """Stops everything, waits, and gives the record back."""
        self._timer.stop()
        self._computing.finish(60_000)  # one step of thousands of images takes long
        self._exporting.finish(60_000)
        self._trajectory = None

    def _update(self, **values: Any) -> None:
        self.state = replace(self.state, **values)
        self.changed.emit(self.state)


def _fitting(spec: SampleSpec, source: Source) -> SampleSpec:
    """The spec as this denoiser can follow it: a class it does not have becomes none, S at most T."""
    label = spec.label if spec.label < source.classes else -1
    return spec.model_copy(update={"label": label, "steps": min(spec.steps, source.tables.steps)})

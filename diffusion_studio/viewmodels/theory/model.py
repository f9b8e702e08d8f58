"""Behind the Theory page: schedules and weights side by side, and the measured bound of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject

from diffusion_studio.core.denoisers.readings import READINGS, PredictionKind
from diffusion_studio.core.describe import Choice, knob, members, validated, with_value
from diffusion_studio.core.objective.weights import Weight, weight_on
from diffusion_studio.core.process.forward import AnyForwardProcess, VariancePreserving, tables_under
from diffusion_studio.core.process.schedules import AnySchedule, LinearSchedule, Schedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.evaluation.evaluation import Evaluated, EvaluationSpec, evaluate, read_evaluation
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.labbook.entries import called
from diffusion_studio.engine.machine.devices import choose_device
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.run import Run, is_run, list_runs
from diffusion_studio.engine.training.schedule_learner import LearnedCurve, learned_curve
from diffusion_studio.viewmodels.editor import spoken
from diffusion_studio.viewmodels.history import History
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.page_model import PageModel
from diffusion_studio.viewmodels.theory.exact_bound import EXACT, evaluate_exact

Phase = Literal["idle", "running", "stopping"]
Floats = NDArray[np.float64]
MOST_POINTS = 600  # of each curve
QUANTITIES = ("beta", "alpha_bar", "log_snr", "beta_tilde", "signal", "noise")


class TheorySpec(Choice):
    """What the curves are drawn for."""

    steps: int = knob(
        1000, title=tr("steps"), symbol="T", ge=10, le=4000, scale="log",
        help=tr("Number of noising steps between an image and pure noise."), source="Ho et al. 2020, §4",
    )  # fmt: skip
    schedule: AnySchedule = knob(
        LinearSchedule(), title=tr("schedule"), symbol="β",
        help=tr("The schedule of the weights; drawn wider than the others."),
    )  # fmt: skip
    forward: AnyForwardProcess = knob(
        VariancePreserving(), title=tr("process"), symbol="x_t", help=tr("How image and noise are mixed.")
    )
    zero_terminal: bool = knob(
        False, title=tr("zero SNR at T"),
        help=tr("Stretch the schedule so that nothing of the image is left at T."),
        formula=r"\mathrm{SNR}(T) = 0", source="Lin et al. 2024, algorithm 1",
    )  # fmt: skip
    error: PredictionKind = knob(
        "eps", title=tr("weight on"),
        words={kind: tr("{symbol} error", symbol=reading.symbol) for kind, reading in READINGS.items()},
        help=tr("The same weights, turned exactly to the error of another prediction."),
        source="Course eq. 2.10; Luo eq. 148",
    )  # fmt: skip
    axis: Literal["t", "log_snr"] = knob(
        "t",
        title=tr("axis"),
        words={"t": "t", "log_snr": "log SNR"},
        help=tr("What the curves are drawn over."),
    )

    def tables(self, schedule: Schedule | None = None) -> Tables:
        """The tables of the chosen schedule, or of another one under the same T and end."""
        return tables_under(self.forward, schedule or self.schedule, self.steps, self.zero_terminal)


@dataclass(frozen=True, eq=False)
class NamedCurve:
    """A curve with what it is called."""

    key: str
    name: str
    x: Floats
    y: Floats
    chosen: bool = False


@dataclass(frozen=True)
class TheoryState:
    """Everything on the Theory page but the curves, which follow from `spec`."""

    spec: TheorySpec
    runs: tuple[tuple[str, str], ...] = ()  # (path, name), newest first
    run: str = ""
    evaluation: Mapping[str, Any] | None = None
    learned: LearnedCurve | None = None  # the schedule of the run, where it learned one
    phase: Phase = "idle"
    fraction: float = 0.0
    detail: str = ""
    error: tuple[str, str] | None = None  # (path, sentence) of a parameter
    notice: Notice | None = None
    can_undo: bool = False
    can_redo: bool = False


class TheoryViewModel(PageModel):
    """The state behind the Theory page. All methods are called on the window's thread."""

    def __init__(self, runs_dir: Path, device: str = "auto", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runs_dir, self._device = runs_dir, device
        self._history = History(TheorySpec())
        self._exact: dict[tuple[Any, ...], Mapping[str, Any]] = {}  # what was measured of the exact denoiser
        self._measured: tuple[Any, ...] = ()  # the process under which it is measured now
        self._job = Slot(self)
        self._job.told.connect(self._on_event)
        self.state = TheoryState(self._history.value)

    def use_device(self, name: str) -> None:
        """Measures on this device from the next time on, by its name or "auto"."""
        self._device = name

    # parameters

    def edit(self, path: str, value: Any) -> None:
        """Changes one parameter; a value that cannot be gets its sentence and changes nothing."""
        try:
            spec = with_value(self.state.spec, path, value)
            spec.tables()
        except Refused as error:
            self._update(error=(path, spoken(error, path)))
            return
        self._history.change(spec)
        self._show_spec()

    def set(self, spec: TheorySpec) -> None:
        """Other parameters, as one step."""
        self._history.change(spec)
        self._history.settle()
        self._show_spec()

    def settle(self) -> None:
        if self._history.settle():
            self._show_spec()

    def undo(self) -> None:
        self._history.undo()
        self._show_spec()

    def redo(self) -> None:
        self._history.redo()
        self._show_spec()

    def _show_spec(self) -> None:
        history = self._history
        self._update(
            spec=history.value, error=None, can_undo=history.can_undo, can_redo=history.can_redo
        )  # fmt: skip
        if self.state.run == EXACT:
            self._update(evaluation=self._exact.get(process_of(history.value)))

    # the bound of a run

    def refresh(self, run: Path | None = None) -> None:
        """Lists the runs; `run` is chosen when none is yet."""
        found = tuple((str(path), called(path)) for path in list_runs(self._runs_dir, RunConfig.kind))
        for path in (Path(self.state.run) if self.state.run else None, run):  # also those in other folders
            if path is not None and is_run(path) and str(path) not in dict(found):
                found = ((str(path), called(path)), *found)
        known = self.state.run if self.state.run in (EXACT, *dict(found)) else ""
        chosen = known or (str(run) if run is not None else next(iter(dict(found)), EXACT))
        self._update(runs=found)
        if self.state.phase == "idle":
            self.choose_run(chosen)

    def choose_run(self, path: str) -> None:
        """Shows what was measured about a run."""
        if self.state.phase != "idle":
            return
        evaluation, learned, notice = None, None, None
        if path == EXACT:
            evaluation = self._exact.get(process_of(self.state.spec))
        elif path:
            with suppress(Refused):  # a run that cannot be read has neither
                run = Run.open(Path(path))
                learned = learned_curve(run)
                evaluation, notice = _measured(run)
        self._update(run=path, evaluation=evaluation, learned=learned, notice=notice, detail="")

    def measure(self) -> None:
        """Measures the bound of the chosen run, or of the exact denoiser under the schedule of this page."""
        if not self.state.run or self.state.phase != "idle":
            return
        measured = self._measured_exactly() if self.state.run == EXACT else self._measured_of_run()

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            stopped = True
            for event in measured(control):
                stopped = stopped and not isinstance(event, Evaluated)
                yield event
            yield events.Finished("stopped" if stopped else "done")

        self._update(phase="running", fraction=0.0, detail=tr("Opening …"), notice=None)
        self._job.start(stream)

    def show_exact(self) -> None:
        """The bound of the exact denoiser under the schedule of this page, measured if it was not yet."""
        found = self._exact.get(process_of(self.state.spec))
        self._update(run=EXACT, evaluation=found, learned=None)
        if found is None:
            self.measure()

    def leave_exact(self) -> bool:
        """Ends what is measured of the exact denoiser; False while a run is measured."""
        if self.state.phase != "idle" and self.state.run == EXACT:
            self._job.drop()
            self._update(phase="idle", fraction=0.0, detail="")
        return self.state.phase == "idle"

    def _measured_of_run(self) -> Callable[[Control], Iterator[events.Event]]:
        path, device = Path(self.state.run), self._device
        spec = EvaluationSpec(quality=False)
        return lambda control: evaluate(path, spec, choose_device(device), control)

    def _measured_exactly(self) -> Callable[[Control], Iterator[events.Event]]:
        self._measured = process_of(self.state.spec)
        tables = self.state.spec.tables()
        return lambda control: evaluate_exact(tables, control)

    def stop(self) -> None:
        if self._job.busy:
            self._job.stop()
            self._update(phase="stopping", detail=tr("Stopping …"))

    def _on_event(self, event: events.Event) -> None:
        match event:
            case events.Preparing(what=what, done=done, total=total) if self.state.phase == "running":
                share = done / total if total else 0.0
                self._update(
                    fraction=share,
                    detail=tr("{what}, t = {done:,} of {total:,}", what=what, done=done, total=total),
                )
            case Evaluated(evaluation=evaluation, notes=notes):
                notice = Notice("info", " ".join(notes)) if notes else None
                self._update(evaluation=self._kept(plain(evaluation)), notice=notice)
            case events.Finished(outcome="failed", message=message, traceback=traceback):
                notice = Notice("error", message, traceback)
                self._update(phase="idle", fraction=0.0, detail="", notice=notice)
            case events.Finished():
                self._update(phase="idle", fraction=0.0, detail="")

    def tell(self, notice: Notice) -> None:
        """Says it on the page."""
        self._update(notice=notice)

    def _kept(self, found: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What is shown of it: of the exact denoiser only what holds for the schedule of this page."""
        if self.state.run != EXACT:
            return found
        self._exact[self._measured] = found
        return self._exact.get(process_of(self.state.spec))

    def dismiss_notice(self) -> None:
        if self.state.notice is not None:
            self._update(notice=None)

    def shutdown(self) -> None:
        """Stops the measurement and waits for its thread."""
        self._job.finish()

    def _update(self, **values: Any) -> None:
        self.state = replace(self.state, **values)
        self.changed.emit(self.state)


def process_of(spec: TheorySpec) -> tuple[Any, ...]:
    """What the bound of the exact denoiser depends on."""
    return spec.steps, spec.schedule, spec.zero_terminal


def _measured(run: Run) -> tuple[Mapping[str, Any] | None, Notice | None]:
    """What was measured about a run, or what there is to say of it."""
    try:
        return read_evaluation(run), None
    except Refused as error:
        return None, Notice("warning", str(error))


def plain(evaluation: Any) -> Mapping[str, Any]:
    """An evaluation as it is read back from disk."""
    found: Mapping[str, Any] = evaluation.to_dict()
    return found


# --- curves ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def schedule_curves(spec: TheorySpec) -> Mapping[str, tuple[NamedCurve, ...]]:
    """β, ᾱ, ln SNR, β̃, and the process's own a and b, of every schedule, over t."""
    found: dict[str, list[NamedCurve]] = {quantity: [] for quantity in QUANTITIES}
    for kind, cls in members(Schedule).items():
        chosen = spec.schedule.kind == kind
        if cls.is_given and not chosen:
            continue
        schedule = spec.schedule if chosen else validated(cls, {})
        tables = spec.tables(schedule)
        t = _thinned(tables.steps)
        name = tr("{title}, at its start", title=cls.title) if cls.learns else cls.title
        for quantity in QUANTITIES:
            values = getattr(tables, quantity).numpy()[t]
            found[quantity].append(NamedCurve(kind, name, t.astype(np.float64), values, chosen))
    return {quantity: tuple(curves) for quantity, curves in found.items()}


def learned_curves(spec: TheorySpec, learned: LearnedCurve) -> Mapping[str, NamedCurve]:
    """The same of a schedule that a run has learned, cut into the T steps of the others."""
    tables = learned.with_steps(spec.steps)
    t, name = _thinned(tables.steps), tr("ω of {run}", run=learned.run)
    values = {quantity: getattr(tables, quantity).numpy()[t] for quantity in QUANTITIES}
    return {quantity: NamedCurve("", name, t.astype(np.float64), y) for quantity, y in values.items()}


@lru_cache(maxsize=8)
def weight_curves(spec: TheorySpec) -> tuple[NamedCurve, ...]:
    """Every weight under the chosen schedule, on the chosen error."""
    tables = spec.tables()
    t = _thinned(tables.steps)
    x = tables.log_snr.numpy()[t][::-1] if spec.axis == "log_snr" else t.astype(np.float64)
    found = []
    for kind, cls in members(Weight).items():
        if not cls.has_shape:
            continue
        weight = validated(cls, {})
        values = weight_on(tables, weight.on_eps(tables), spec.error).numpy()[t]
        found.append(NamedCurve(kind, weight.name, x, values[::-1] if spec.axis == "log_snr" else values))
    return tuple(found)


def _thinned(steps: int) -> NDArray[np.int64]:
    """At most about MOST_POINTS of the times 1 … T, among them both ends and 2, where β̃ begins."""
    evenly = np.linspace(1, steps, min(steps, MOST_POINTS)).round().astype(np.int64)
    return np.union1d(evenly, [2])

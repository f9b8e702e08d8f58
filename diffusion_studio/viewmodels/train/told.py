"""What an event of a training changes in the state of the page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Protocol, TypeVar

from diffusion_studio.core.words import tr
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.training.events import ObjectiveChanged, PartsChanged
from diffusion_studio.engine.training.forecast import Forecast
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.train.following import Followed, Reached, Silent
from diffusion_studio.viewmodels.train.seen import ComputedBy
from diffusion_studio.viewmodels.train.state import Phase, TrainState, progress_text, step_text


class Steered(Protocol):
    """The state of a page on which something trains, a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def phase(self) -> Phase: ...
    @property
    def notice(self) -> Notice | None: ...


S = TypeVar("S", bound=Steered)


def after(state: TrainState, event: events.Event) -> TrainState:
    """The state of the Train page after `event` was told."""
    match event:
        case ObjectiveChanged(step=step, message=message):
            return replace(state, marks=(*state.marks, (step, message)))
        case PartsChanged(device=device):
            return replace(state, device=device)
        case Forecast():
            return replace(state, forecast=event)
        case events.Progress(step=step) if state.forecast is not None:
            forecast = replace(state.forecast, step=step, seconds=event.seconds)
            return after_any(replace(state, forecast=forecast), event)
        case events.Finished():
            return _ended(state, event)
        case Followed(event=inner):
            return _followed(state, inner)
    return after_any(state, event)


def after_any(state: S, event: events.Event) -> S:
    """The state of a page after `event` was told, whatever trains there."""
    match event:
        case events.Preparing(what=what, done=done, total=total):
            return replace(state, detail=_prepared(f"{what[:1].upper()}{what[1:]}", done, total))
        case events.Started(run=run, step=step, device=device, parameters=parameters):
            phase = _unless_stopping(state, "running")
            detail = tr("{parameters:,} weights", parameters=parameters)
            return replace(state, phase=phase, run=run, step=step, device=device, detail=detail)
        case events.Progress(step=step, fraction=fraction):
            phase = _unless_stopping(state, "paused" if state.phase == "paused" else "running")
            return replace(state, phase=phase, step=step, fraction=fraction, detail=progress_text(event))
        case events.Saved(step=step):
            return replace(state, saved_step=step)
        case events.Warned(message=message):
            return replace(state, notice=Notice("warning", message))
        case events.Paused(reason=reason):
            notice = Notice("warning", reason) if reason else state.notice
            return replace(state, phase=_unless_stopping(state, "paused"), notice=notice)
        case events.Resumed():
            return replace(state, phase=_unless_stopping(state, "running"))
        case events.Finished(outcome="failed", message=message, traceback=traceback):
            return replace(state, phase="idle", detail=message, notice=Notice("error", message, traceback))
        case events.Finished(message=message):
            return replace(state, phase="idle", detail=message)
    return state


def _prepared(what: str, done: int, total: int) -> str:
    """ "Reading images 3 of 20 …": how far what comes before a training is, as far as that is known."""
    if total:
        return tr("{what} {done} of {total} …", what=what, done=done, total=total)
    return tr("{what}: {done:,} files …", what=what, done=done) if done else f"{what} …"


def _elsewhere(step: int, what: str, total: int = 0) -> str:
    """ "step 657 · trained by another process": how far a run is, and what happens to it."""
    return f"{step_text(step, total)} · {what}"


def _unless_stopping(state: Steered, phase: Phase) -> Phase:
    """What is told between asking for the end and the end changes nothing."""
    return "stopping" if state.phase == "stopping" else phase


def _followed(state: TrainState, event: events.Event) -> TrainState:
    """Another process trains the run that is shown: what is told of it, while nothing is trained here."""
    match event:
        case events.Progress(step=step, total_steps=total):
            detail = _elsewhere(step, tr("trained by another process"), total)
            return replace(state, step=step, fraction=event.fraction, detail=detail)
        case events.Saved(step=step):
            return replace(state, saved_step=step)
        case events.Paused(step=step, reason=reason):
            notice = Notice("warning", reason) if reason else state.notice
            detail = _elsewhere(step, tr("paused in another process"))
            return replace(state, detail=detail, notice=notice)
        case events.Resumed(step=step):
            return replace(state, detail=_elsewhere(step, tr("trained by another process")))
        case events.Finished(outcome="failed", step=step, message=message) if message:
            detail = _elsewhere(step, tr("its training has failed"))
            return replace(state, detail=detail, notice=Notice("error", message))
        case events.Finished(outcome="failed", step=step):
            detail = _elsewhere(step, tr("the process that trained it has ended without a word"))
            return replace(state, detail=detail)
        case events.Finished(step=step):
            return replace(state, detail=_elsewhere(step, tr("its training has ended")))
        case ObjectiveChanged(step=step, message=message):
            return replace(state, marks=(*state.marks, (step, message)))
        case events.Warned(message=message):
            return replace(state, notice=Notice("warning", message))
        case ComputedBy(device=device):
            return replace(state, device=device)
        case Silent(step=step, since=since):
            return replace(state, detail=_elsewhere(step, tr("nothing new since {time}", time=since)))
        case Reached(message=message):
            return replace(state, notice=Notice("info", message))
    return state


def _ended(state: TrainState, event: events.Finished) -> TrainState:
    ended, offered, action = after_any(state, event), ("", 0), ""
    if event.parts:
        offered = "training.parts", event.parts
        action = tr("Split each step into {parts}", parts=event.parts)
    elif event.smaller_batch:
        offered = "training.batch_size", event.smaller_batch
        action = tr("Try a batch of {size}", size=event.smaller_batch)
    if action and ended.notice is not None:
        ended = replace(ended, notice=replace(ended.notice, action=action))
    return replace(ended, offered=offered)

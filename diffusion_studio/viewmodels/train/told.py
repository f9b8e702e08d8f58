"""What an event of a training changes in the state of the page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Protocol, TypeVar

from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.training.events import ObjectiveChanged
from diffusion_studio.engine.training.forecast import Forecast
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.train.following import Followed, Reached
from diffusion_studio.viewmodels.train.state import Phase, TrainState, progress_text


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
            how_far = f" {done} of {total}" if total else f": {done:,} files" if done else ""
            return replace(state, detail=f"{what.capitalize()}{how_far} …")
        case events.Started(run=run, step=step, device=device, parameters=parameters):
            phase, detail = _unless_stopping(state, "running"), f"{parameters:,} weights"
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


def _unless_stopping(state: Steered, phase: Phase) -> Phase:
    """What is told between asking for the end and the end changes nothing."""
    return "stopping" if state.phase == "stopping" else phase


def _followed(state: TrainState, event: events.Event) -> TrainState:
    """Another process trains the run that is shown: what is told of it, while nothing is trained here."""
    match event:
        case events.Progress(step=step, total_steps=total):
            detail = f"step {step:,}{f' of {total:,}' if total else ''} · trained by another process"
            return replace(state, step=step, fraction=event.fraction, detail=detail)
        case events.Saved(step=step):
            return replace(state, saved_step=step)
        case events.Paused(step=step, reason=reason):
            notice = Notice("warning", reason) if reason else state.notice
            return replace(state, detail=f"step {step:,} · paused in another process", notice=notice)
        case events.Resumed(step=step):
            return replace(state, detail=f"step {step:,} · trained by another process")
        case events.Finished(outcome="failed", step=step):
            detail = f"step {step:,} · the process that trained it has ended without a word"
            return replace(state, detail=detail)
        case events.Finished(step=step):
            return replace(state, detail=f"step {step:,} · its training has ended")
        case ObjectiveChanged(step=step, message=message):
            return replace(state, marks=(*state.marks, (step, message)))
        case events.Warned(message=message):
            return replace(state, notice=Notice("warning", message))
        case Reached(message=message):
            return replace(state, notice=Notice("info", message))
    return state


def _ended(state: TrainState, event: events.Finished) -> TrainState:
    ended, offered, action = after_any(state, event), ("", 0), ""
    if event.parts:
        offered = "training.parts", event.parts
        action = f"Split each step into {event.parts}"
    elif event.smaller_batch:
        offered = "training.batch_size", event.smaller_batch
        action = f"Try a batch of {event.smaller_batch}"
    if action and ended.notice is not None:
        ended = replace(ended, notice=replace(ended.notice, action=action))
    return replace(ended, offered=offered)

"""What an event of a training changes in the state of the page."""

from __future__ import annotations

from dataclasses import replace

from diffusion_studio.engine.jobs import events
from diffusion_studio.viewmodels.autoencoder.state import CodeState
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.train.state import Phase, progress_text


def after(state: CodeState, event: events.Event) -> CodeState:
    """The state after `event` was told."""
    match event:
        case events.Preparing(done=done, total=total):
            return replace(state, detail=f"Reading images {done} of {total} …")
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


def _unless_stopping(state: CodeState, phase: Phase) -> Phase:
    """What is told between asking for the end and the end changes nothing."""
    return "stopping" if state.phase == "stopping" else phase

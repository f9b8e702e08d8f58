"""What can be done on the Train page about the run that is shown, and about all parameters."""

from __future__ import annotations

from functools import partial

from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.training.presets import PRESETS
from diffusion_studio.pages import training
from diffusion_studio.viewmodels.train.model import TrainViewModel
from diffusion_studio.widgets.actions.action_set import Act


def acts_of(model: TrainViewModel) -> dict[str, Act]:
    """By the names of the table of actions."""
    return {
        **training.acts_of(model),
        "resume-run": Act(partial(_resume, model), lambda: model.state.run is not None and _idle(model)),
        "defaults": Act(partial(_take_defaults, model), partial(_idle, model)),
    }


def _idle(model: TrainViewModel) -> bool:
    return not model.state.busy


def _resume(model: TrainViewModel) -> None:
    if model.state.run is not None:
        model.resume_run(model.state.run)


def _take_defaults(model: TrainViewModel) -> None:
    """All but the images."""
    model.editor.set(PRESETS[0].applied_to(RunConfig(data=model.config.data)))

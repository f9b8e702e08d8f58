"""`sample` and `evaluate` of a run that holds an autoencoder."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffusion_studio.cli.bar import bar
from diffusion_studio.cli.sentences import note, usage
from diffusion_studio.cli.signals import stopping_on_signals
from diffusion_studio.core.refused import Refused
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.autoencoder.model import open_model
from diffusion_studio.engine.evaluation.codes import CodeEvaluated, evaluate_code
from diffusion_studio.engine.evaluation.evaluation import EvaluationSpec
from diffusion_studio.engine.files.files import write_atomically
from diffusion_studio.engine.files.pictures import save_grid
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.jobs.events import Preparing
from diffusion_studio.engine.runs.autoencoder_config import BY_KIND
from diffusion_studio.engine.runs.run import kind_of


def holds_code(path: Path) -> bool:
    """Whether a folder is the run of an autoencoder."""
    return kind_of(path) in BY_KIND


def check_plain(out: Path, given: Mapping[str, Any]) -> None:
    """Options of a reverse chain mean nothing here, and there is no chain to be animated.

    Args:
        given: options by name; those that are not None, False or empty were given.
    """
    with usage():
        for name, value in given.items():
            if value:
                raise Refused(f"An autoencoder has no reverse chain, so {name} means nothing for it.")
        if out.suffix.lower() not in (".png", ".npz"):
            raise Refused(
                f"An autoencoder has no chain to be animated: {out.name} should end in .png or .npz."
            )


def sample_code(path: Path, out: Path, count: int, seed: int, device: torch.device) -> None:
    """Writes pictures that are decoded from the prior."""
    model = open_model(path, device)
    for sentence in model.notes:
        note(sentence)
    samples = model.samples(count, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() == ".png":
        settings = {"model": model.name, "step": model.step, "count": count, "seed": seed}
        save_grid(out, samples, settings, at_least=512)
        return
    buffer = io.BytesIO()
    pixels = samples.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    np.savez(buffer, allow_pickle=False, samples=pixels)
    write_atomically(out, buffer.getvalue())


def evaluate_shown(path: Path, spec: EvaluationSpec, device: torch.device) -> CodeEvaluated:
    """Raises Cancelled when it was stopped."""
    control, found = Control(), None
    with bar() as shown, stopping_on_signals(control):
        task = shown.add_task("opening", total=None)
        for event in evaluate_code(path, spec, device, control):
            match event:
                case Preparing(what=what, done=done, total=total):
                    shown.update(task, description=what, completed=done, total=total or None)
                case CodeEvaluated():
                    found = event
    if found is None:
        raise Cancelled
    return found

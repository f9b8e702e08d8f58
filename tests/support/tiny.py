"""Trainings so small that one takes less than a second: a network of 8 channels, T = 50, a batch of 16."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from diffusion_studio.core.process.schedules import LinearSchedule, Schedule
from diffusion_studio.data.spec import DIGITS
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.training.session import Session, new_session, resumed_session
from diffusion_studio.engine.training.trainer import train

E = TypeVar("E", bound=events.Event)
CPU = torch.device("cpu")


def tiny_config(
    source: str | Path = DIGITS,
    *,
    seed: int = 0,
    conditional: bool = True,
    flip: bool = False,
    T: int = 50,
    schedule: Schedule | None = None,
    objective: dict[str, Any] | None = None,
    held_out: float = 0.0,
    **training: Any,
) -> RunConfig:
    """A config that trains in no time; `training` are fields of `TrainingSpec`."""
    return RunConfig.model_validate(
        {
            "seed": seed,
            "data": {"source": str(source), "resolution": 8, "flip": flip, "held_out": held_out},
            "model": {"width": 8, "multipliers": (1, 2), "layers": 1, "attention": 0}
            | {"conditional": conditional},
            "diffusion": {"steps": T, "schedule": schedule or LinearSchedule()},
            "objective": {"predict": "eps", "weight": {"kind": "surrogate"}} | (objective or {}),
            "training": {"batch_size": 16, "steps": 4, "preview_count": 0, "warmup": 3}
            | {"optimizer": "adamw", "precision": "fp32"}
            | training,
        }
    )


def write_pictures(
    folder: Path, classes: tuple[str, ...] = ("ape", "bee", "cat"), each: int = 4, seed: int = 1,
    side: int = 8,
) -> Path:  # fmt: skip
    """A folder of grey square pictures, one sub-folder per class; no classes: all in one folder."""
    generator = np.random.default_rng(seed)
    for place in [folder / name for name in classes] or [folder]:
        place.mkdir(parents=True, exist_ok=True)
        for number in range(each):
            pixels = generator.integers(0, 256, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


def begin(path: Path, config: RunConfig) -> Session:
    return new_session(path, config, CPU)


def resume(path: Path, config: RunConfig | None = None) -> Session:
    return resumed_session(path, CPU, config)


def finish(session: Session, control: Control | None = None) -> list[events.Event]:
    """Every event of a training, to its end."""
    return list(train(session, control or Control()))


def with_training(config: RunConfig, **values: Any) -> RunConfig:
    return config.model_copy(update={"training": config.training.model_copy(update=values)})


def only(told: Iterable[events.Event], kind: type[E]) -> list[E]:
    return [event for event in told if isinstance(event, kind)]


def losses_told(told: Iterable[events.Event]) -> NDArray[np.float32]:
    """The losses of all `Progress` events, one after another."""
    parts = [event.losses for event in only(told, events.Progress)]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def everything(session: Session) -> dict[str, Tensor]:
    """A copy of every tensor that a training carries on."""
    state = session.learner.state()
    parts = {"raw": state.raw, "ema": state.ema, "optimizer": state.optimizer}
    return {f"{part}.{name}": t.clone() for part, tensors in parts.items() for name, t in tensors.items()}


def differing(a: dict[str, Tensor], b: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that are not equal bit by bit."""
    return [name for name in sorted(a.keys() | b.keys()) if not _same(a.get(name), b.get(name))]


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    return a is not None and b is not None and a.dtype == b.dtype and torch.equal(a, b)

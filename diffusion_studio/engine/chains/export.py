"""Samples and chains as files: PNG grid or strip, animation of the chain, NPZ with every number."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import printable, to_pictures
from diffusion_studio.engine.chains.chain import NOT_NUMBERS, Chain
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.chains.views import View
from diffusion_studio.engine.files.files import write_atomically
from diffusion_studio.engine.files.pictures import ANIMATIONS, mosaic, save_animation, save_grid
from diffusion_studio.engine.files.videos import VIDEO, check_video
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.room import free_memory

SUFFIXES = (".png", *ANIMATIONS, ".npz")
COPIES = 3  # of the states of a chain while they are written
FRAMES = 100  # of an animation at most; longer chains are thinned out
STRIP_ROWS, STRIP_COLUMNS = 16, 16  # of a strip at most

ExportKind = Literal["state", "strip"]


@dataclass(eq=False)
class Samples:
    """What a reverse chain made: pictures in [−1, 1], and its states, which in a code are codes."""

    samples: NDArray[np.float32]  # (n, C, H, W)
    labels: NDArray[np.int64]  # (n,), −1 without a class
    times: tuple[int, ...]  # (S+1,)
    x_t: list[NDArray[np.float32]] = field(default_factory=list)  # S+1 states, when kept
    x0_hat: list[NDArray[np.float32]] = field(default_factory=list)  # S estimates, when kept
    class_names: tuple[str, ...] = ()  # (K,) that the labels count
    estimates: Callable[[torch.Tensor], torch.Tensor] = torch.Tensor.float  # from x0_hat to pictures


def run_chain(
    chain: Chain,
    keep: bool,
    progress: Callable[[int, int], None] | None = None,
    control: Control | None = None,
) -> Samples | None:
    """Runs a chain to its end; None when stopped before.

    Args:
        keep: keep every state and estimate.

    Raises:
        Refused: a chain that cannot be run, or that ran into values that are not numbers.
    """
    chain.check()
    if keep:
        _check_kept(chain)
    x = chain.start()
    samples = Samples(
        np.empty(0, np.float32), _labels(chain), chain.times, [_numpy(x)] if keep else [],
        class_names=chain.class_names, estimates=chain.source.pictures,
    )  # fmt: skip
    for step in chain.steps(0, x):
        x = step.x_s
        if keep:
            samples.x_t.append(_numpy(x))
            samples.x0_hat.append(_numpy(step.prediction.x0_hat))
        if progress is not None:
            progress(step.index + 1, len(chain.times) - 1)
        if control is not None and control.stopped:
            return None
    if not x.isfinite().all():
        raise Refused(NOT_NUMBERS.format(name=chain.source.name, t=step.t))
    samples.samples = _numpy(chain.source.pictures(x)).clip(-1, 1)
    return samples


def _check_kept(chain: Chain) -> None:
    """Raises Refused where the states that are to be kept have no room in memory."""
    states = COPIES * 2 * len(chain.times)  # x_t and x̂_0
    needed, free = 4 * states * math.prod(chain.source.shape(chain.spec.count)), free_memory()
    if needed > free:
        raise Refused(
            tr(
                "To keep every state of {count:,} images takes {needed:,.1f} GB, and {free:,.1f} GB "
                "are free. Ask for fewer images or fewer steps.",
                count=chain.spec.count,
                needed=needed / 1e9,
                free=free / 1e9,
            )
        )


def _labels(chain: Chain) -> NDArray[np.int64]:
    """The class of each sample, −1 without one. (n,)"""
    labels = chain.labels()
    return np.full(chain.spec.count, -1) if labels is None else labels.cpu().numpy()


def _numpy(x: torch.Tensor) -> NDArray[np.float32]:
    values: NDArray[np.float32] = x.to(torch.float32).cpu().contiguous().numpy()
    return values


def check_suffix(path: Path) -> None:
    """Raises Refused, with a sentence, for a file that would be of a kind that cannot be written."""
    if path.suffix.lower() not in SUFFIXES:
        raise Refused(
            tr(
                "{path} should end in {suffixes} or {last}.",
                path=path,
                suffixes=", ".join(SUFFIXES[:-1]),
                last=SUFFIXES[-1],
            )
        )
    if path.suffix.lower() == VIDEO:
        check_video()


def save_samples(path: Path, samples: Samples, settings: dict[str, Any], trajectory: bool) -> None:
    """Writes the samples in the format that the file's name asks for.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    match path.suffix.lower():
        case ".png":
            save_grid(path, to_pictures(samples.samples), settings, at_least=512)
        case ".npz":
            write_atomically(path, _npz(samples, trajectory))
        case suffix if suffix in ANIMATIONS:
            save_animation(path, _frames(samples), settings)
        case _:
            check_suffix(path)


def save_trajectory(
    path: Path, trajectory: Trajectory, view: View, position: int, settings: dict[str, Any],
    kind: ExportKind = "state",
) -> None:  # fmt: skip
    """Writes what is seen: one state or the strip as PNG, the chain as an animation, every number as NPZ.

    Raises:
        Refused: a file of an unknown kind, or a chain of which nothing is computed yet.
        OSError: it cannot be written.
    """
    check_suffix(path)
    if trajectory.ready < 2:
        raise Refused(tr("The chain is not computed yet; wait for its first steps."))
    path.parent.mkdir(parents=True, exist_ok=True)
    states = range(trajectory.ready)
    match path.suffix.lower():
        case ".png" if kind == "strip":
            columns = np.unique(np.linspace(0, states[-1], STRIP_COLUMNS).round().astype(int))
            cells = [trajectory.picture(view, int(k))[:STRIP_ROWS] for k in columns]
            images = np.stack(cells, axis=1).reshape(-1, *cells[0].shape[1:])
            save_grid(path, images, settings, len(columns), at_least=256)
        case ".png":
            save_grid(path, trajectory.picture(view, min(position, states[-1])), settings, at_least=512)
        case suffix if suffix in ANIMATIONS:
            every = -(-len(states) // FRAMES)
            shown = sorted({*states[::every], states[-1]})
            save_animation(path, [mosaic(trajectory.picture(view, k)) for k in shown], settings)
        case _:
            write_atomically(path, _npz(_recorded(trajectory), True))


def _recorded(trajectory: Trajectory) -> Samples:
    """The computed part of a trajectory, in the precision in which it was kept."""
    last = trajectory.ready - 1
    chain, x = trajectory.chain, torch.from_numpy(trajectory.x_t(last))
    return Samples(
        _numpy(chain.source.pictures(x)).clip(-1, 1), _labels(chain), trajectory.times[: last + 1],
        [trajectory.x_t(k) for k in range(last + 1)], [trajectory.x0_hat(k) for k in range(last)],
        chain.class_names,
    )  # fmt: skip


def _frames(samples: Samples) -> list[NDArray[np.uint8]]:
    """The estimates x̂_0 from noise to image, then the image."""
    every = -(-len(samples.x0_hat) // FRAMES)
    estimates = samples.x0_hat[::every]
    decoded = [_numpy(samples.estimates(torch.from_numpy(values))) for values in estimates]
    return [mosaic(to_pictures(values)) for values in (*decoded, samples.samples)]


def _npz(samples: Samples, trajectory: bool) -> bytes:
    arrays: dict[str, NDArray[Any]] = {"samples": samples.samples, "labels": samples.labels}
    if samples.class_names:
        arrays["class_names"] = np.array([printable(name) for name in samples.class_names])
    if trajectory:
        arrays |= {
            "t": np.array(samples.times),
            "x_t": np.stack(samples.x_t),
            "x0_hat": np.stack(samples.x0_hat),
        }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()

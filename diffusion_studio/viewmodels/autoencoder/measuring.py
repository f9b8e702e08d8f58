"""Figures that take a moment: the gap to ln p(x), gradients, decompositions, a diffusion run too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.words import tr
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.autoencoder.measures import (
    CodeReport,
    Scatter,
    gradient_variances,
    measure,
    scatter,
)
from diffusion_studio.engine.autoencoder.model import CodeModel
from diffusion_studio.engine.evaluation.as_hierarchy import (
    AsHierarchy,
    as_hierarchy,
    named,
    newest_measurable,
)
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.devices import choose_device
from diffusion_studio.engine.runs.autoencoder_config import HVAEConfig, VAEConfig
from diffusion_studio.models.autoencoder import Shape
from diffusion_studio.viewmodels.job import Post, Slot

IMAGES, WEIGHTED, DRAWS = 64, 64, 256


@dataclass(frozen=True)
class Stage:
    """One rung of the bridge that was measured, bits per dimension.

    Args:
        data: the fingerprint of the images that it was measured on.
        source: their name, and how large they are.
    """

    title: str
    data: str
    source: str
    total: float
    reconstruction: float
    between: float  # KL, or matching and prior
    spread: float  # of the bound, from image to image


@dataclass(frozen=True)
class _Measured(events.Event):
    report: CodeReport
    gradients: tuple[float, float] | None
    scatter: Scatter | None
    stage: Stage


@dataclass(frozen=True)
class _Diffusion(events.Event):
    found: AsHierarchy


@dataclass(frozen=True)
class MeasuredState:
    """What was measured last."""

    doing: str = ""
    report: CodeReport | None = None
    gradients: tuple[float, float] | None = None  # variances: through the draw, by the score function
    scatter: Scatter | None = None
    diffusion: AsHierarchy | None = None
    stages: tuple[Stage, ...] = ()


class Measuring(QObject):
    """Measures when it is asked to."""

    changed = Signal(object)  # MeasuredState
    failed = Signal(str, str)  # a sentence, the traceback

    def __init__(self, device: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._device = device
        self._slot = Slot(self)
        self._slot.told.connect(self._on_event)
        self.state = MeasuredState()

    def use_device(self, name: str) -> None:
        """Measures on this device from the next time on, by its name or "auto"."""
        self._device = name

    def measure(self, model: CodeModel, images: ImageSet) -> None:
        """The bound, the gap to ln p(x), the gradients, and of a hierarchy both decompositions."""

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            yield from _measured(model, images, control)

        self._show(replace(self.state, doing=tr("Measuring …")))
        self._slot.start(stream)

    def measure_diffusion(self, runs: Path, shape: Shape | None) -> None:
        """The newest diffusion run that can be, by the routine that measures hierarchies.

        Args:
            shape: of the images that it is compared on; None for any.
        """
        name = self._device

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            for found in as_hierarchy(newest_measurable(runs, shape), 16, 0, choose_device(name)):
                if control.stopped:
                    return
                if isinstance(found, AsHierarchy):
                    yield _Diffusion(found)
                else:
                    yield events.Preparing(tr("Walking through the chain"), *found)

        self._show(replace(self.state, doing=tr("Opening the newest diffusion run …")))
        self._slot.start(stream)

    def forget(self) -> None:
        """Another network: only the stages stay."""
        self._show(MeasuredState(stages=self.state.stages, diffusion=self.state.diffusion))

    def shutdown(self) -> None:
        self._slot.finish()

    def _on_event(self, event: events.Event) -> None:
        match event:
            case events.Preparing(what=what, done=done, total=total):
                how_far = tr("{what}: {done} of {total}", what=what, done=done, total=total)
                self._show(replace(self.state, doing=how_far if total else what))
            case _Measured(report=report, gradients=gradients, scatter=spread, stage=stage):
                found: dict[str, Any] = {"report": report, "gradients": gradients, "scatter": spread}
                self._show(replace(self.state, stages=_with(self.state.stages, stage), **found))
            case _Diffusion(found=run):
                between = run.matching + run.prior
                title = tr("diffusion: {name}", name=run.name)
                stage = Stage(title, run.data, run.source, run.total, run.reconstruction, between, run.spread)
                self._show(replace(self.state, diffusion=run, stages=_with(self.state.stages, stage)))
            case events.Finished(outcome="failed", message=message, traceback=traceback):
                self._show(replace(self.state, doing=""))
                self.failed.emit(message, traceback)
            case events.Finished():
                self._show(replace(self.state, doing=""))

    def _show(self, state: MeasuredState) -> None:
        self.state = state
        self.changed.emit(state)


def _measured(model: CodeModel, images: ImageSet, control: Control) -> Iterator[events.Event]:
    some = images.images[:: max(1, images.count // IMAGES)][:IMAGES]
    levels = isinstance(model.config, HVAEConfig)
    plain = isinstance(model.config, VAEConfig) and not levels

    def heed() -> None:
        if control.stopped:
            raise Cancelled

    for found in measure(model, some, WEIGHTED, 0):
        heed()
        if isinstance(found, CodeReport):
            gradients = gradient_variances(model, some[0], DRAWS, 0, heed) if plain else None
            spread = scatter(model, some[0], DRAWS, 0, heed) if levels else None
            yield _Measured(found, gradients, spread, _stage(model, images, found))
        else:
            yield events.Preparing(tr("Images measured"), *found)


def stage_title(model: CodeModel) -> str:
    """What a network is called on the bridge; bits of pixels of two values are none of 256."""
    title = _kind_of(model)
    return tr("{title}, pixels black or white", title=title) if model.decoder.is_binary else title


def _kind_of(model: CodeModel) -> str:
    config = model.config
    if not isinstance(config, HVAEConfig):
        return f"{config.kind.upper()}, k = {model.size}"
    spec = config.hierarchy
    kept = [
        name
        for name, on in (
            (tr("same dimension"), spec.same_dimension), (tr("fixed encoder"), spec.fixed_encoder),
            (tr("N(0, I) at T"), spec.standard_end),
        )
        if on
    ]  # fmt: skip
    return tr("hierarchy, T = {levels}", levels=spec.levels) + (f": {', '.join(kept)}" if kept else "")


def _stage(model: CodeModel, images: ImageSet, report: CodeReport) -> Stage:
    spread = report.total_error * report.images**0.5
    return Stage(
        stage_title(model), images.fingerprint, named(images),
        report.total, report.reconstruction, report.kl, spread,
    )  # fmt: skip


def _with(stages: tuple[Stage, ...], stage: Stage) -> tuple[Stage, ...]:
    """The newest of each title on the same images, in the order in which they were first measured."""
    if stage.total != stage.total:  # a plain autoencoder has no bound
        return stages
    found = {(each.title, each.data): each for each in (*stages, stage)}
    return tuple(found.values())

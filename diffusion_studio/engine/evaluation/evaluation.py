"""What a trained model is worth: the bound on −log p term by term, and the quality of its samples."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from diffusion_studio.core.describe import validated
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.data.imageset import ImageSet, digests, to_uint8
from diffusion_studio.data.load import load
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.export import run_chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import Source, open_source
from diffusion_studio.engine.evaluation.few_calls import REFERENCE, FewCalls, few_calls, most_steps
from diffusion_studio.engine.evaluation.flow_bits import TOLERANCE, FlowReport, measure_flow
from diffusion_studio.engine.evaluation.measured_bound import BoundReport, measure_bound
from diffusion_studio.engine.evaluation.yardsticks import Yardsticks, yardsticks
from diffusion_studio.engine.files.figures import finite
from diffusion_studio.engine.files.files import to_json, write_atomically
from diffusion_studio.engine.files.places import cache_dir
from diffusion_studio.engine.files.reading import json_inside
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.checkpoints import checkpoint_step
from diffusion_studio.engine.runs.model_io import LoadedModel, load_model
from diffusion_studio.engine.runs.quality import FEWEST, Quality, QualitySpace
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.moved import with_images_at
from diffusion_studio.engine.training.run_data import RunData, load_run_data

log = logging.getLogger(__name__)
FEWEST_MEASURED = 2  # images of the bound
FEWEST_COMPARED = 4  # images that samples are compared with
FEW_SAMPLES = tr("{{count}} samples say too little of the quality; draw at least {fewest}.", fewest=FEWEST)
NOT_APART = tr("This run keeps no images apart, so the bound is measured on images it was trained on.")
FILE = "evaluation.json"  # in the run folder

Kept = TypeVar("Kept", bound=BaseModel)


@dataclass(frozen=True)
class EvaluationSpec:
    """What is measured, and on how much."""

    elbo: bool = True
    quality: bool = True
    calls: bool = False  # how few calls of the network are as good as fifty
    flow: bool = False  # −log p along the probability flow
    tolerance: float = TOLERANCE  # of the number along the flow, bits per dimension
    images: int = 64  # of the held-out split, for the bound
    draws: int = 2  # of noise for each of them
    samples: int = 500  # drawn with 50 DDIM steps, for the quality; and by each rule, for the calls
    seed: int = 0
    data: str | None = None  # where the images of the run lie now, if not where they were

    @property
    def draws_samples(self) -> bool:
        return self.quality or self.calls

    @property
    def needs_density(self) -> bool:
        """Whether it asks how likely images are."""
        return self.elbo or self.flow


@dataclass(frozen=True)
class Evaluation:
    """What was measured about one checkpoint."""

    run: str
    step: int
    held_out: bool  # whether the images of the bound were never trained on
    elbo: BoundReport | None = None
    quality: Quality | None = None
    yardsticks: Yardsticks | None = None  # beside the bound
    calls: FewCalls | None = None
    flow: FlowReport | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Evaluated(events.Event):
    """An evaluation is complete."""

    evaluation: Evaluation
    notes: tuple[str, ...] = ()


def evaluate(
    path: Path, spec: EvaluationSpec, device: torch.device, control: Control
) -> Iterator[events.Event]:
    """Measures the newest sound checkpoint of a run, and keeps the result in its folder.

    Raises:
        Refused: no run, no checkpoint or no images; the message is a sentence for a person.
    """
    run = with_images_at(Run.open(path), spec.data)
    spec, without_bound = _possible(run, spec)
    (step, model, source), notes = run.read_newest(lambda checkpoint: _opened(checkpoint, spec, device))
    try:
        data = load_run_data(run, None, lambda: control.stopped)
        images, numbers, held_out = measured_images(run, data, lambda: control.stopped)
    except Cancelled:
        return
    notes += (*without_bound, *data.notes, *seen_before(data, images))
    check_enough(run, spec, len(numbers), len(data.trained))
    if not held_out and spec.needs_density:
        notes += (NOT_APART,)
    done = Evaluation(run.name, step, held_out)
    chosen = even(numbers, spec.images)
    if model is not None and spec.flow:
        yield events.Preparing(tr("following the flow"), 0, 0)
        along = measure_flow(
            model.denoiser, images, chosen, spec.tolerance, 1, spec.seed, device, lambda: control.stopped
        )
        if control.stopped:
            return
        done = replace(done, flow=along)
    if model is not None and spec.elbo:
        for found in measure_bound(model.denoiser, images, chosen, spec.draws, spec.seed, device):
            if control.stopped:
                return
            if isinstance(found, BoundReport):
                beside = yardsticks(data.images.images, images.images[chosen], data.trained)
                done = replace(done, elbo=found, yardsticks=beside)
            else:
                yield events.Preparing(tr("measuring the bound"), *found)
    if source is not None:
        try:
            done = yield from _drawn(done, source, data, spec, device, control)
        except Cancelled:
            return
    keep(run, done.to_dict(), partial(read_evaluation, run))
    yield Evaluated(done, notes)


def _possible(run: Run, spec: EvaluationSpec) -> tuple[EvaluationSpec, tuple[str, ...]]:
    """What can be measured of a run, and why the rest cannot.

    Raises:
        Refused: nothing can.
    """
    if not run.config.model.code or not spec.needs_density:
        return spec, ()
    sentence = tr(
        "{run} is a diffusion in a code: its bound is one of codes, not of pixels. For pixels the terms of "
        "its autoencoder would have to be added, which are not measured.",
        run=run.name,
    )
    if not spec.draws_samples:
        raise Refused(tr("{sentence} Measure the quality of its samples instead.", sentence=sentence))
    return replace(spec, elbo=False, flow=False), (sentence,)


def _opened(
    checkpoint: Path, spec: EvaluationSpec, device: torch.device
) -> tuple[int, LoadedModel | None, Source | None]:
    """What is measured: the step, its model for the bound, and the same to sample from.

    Both in memory at once: they must be of one step, and a training that goes on deletes the checkpoint.
    """
    model = load_model(checkpoint, device) if spec.needs_density else None
    return checkpoint_step(checkpoint), model, open_source(checkpoint, device) if spec.draws_samples else None


def measured_images(
    run: Run[Any], data: RunData, cancelled: Callable[[], bool]
) -> tuple[ImageSet, NDArray[np.int64], bool]:
    """The images that the bound is measured on, their numbers, and whether they were kept apart.

    Those of a folder of their own (test, val), those that the run kept apart, or all where none were.
    """
    if data.images.apart:
        images = load(run.config.data, cache_dir(), None, cancelled, "apart")
        images = images.with_classes(data.images.class_names)
        return images, np.arange(images.count), True
    if len(data.apart):
        return data.images, data.apart, True
    return data.images, data.trained, False


def seen_before(data: RunData, images: ImageSet) -> Iterator[str]:
    """A sentence where images of a folder that is kept apart are trained on as well."""
    if images is data.images:
        return
    trained = set(digests(data.images.images))
    known = sum(each in trained for each in digests(images.images))
    if known:
        yield tr(
            "{known} of the {count} images that are kept apart are trained on as well.",
            known=known,
            count=images.count,
        )


def check_enough(run: Run[Any], spec: EvaluationSpec, measured: int, compared: int) -> None:
    """Raises Refused where so few images say nothing."""
    if spec.needs_density and measured < FEWEST_MEASURED:
        raise Refused(
            tr(
                "{run} has {measured} image to measure the bound on; at least {fewest} are "
                "needed to tell how sure the figure is.",
                run=run.name,
                measured=measured,
                fewest=FEWEST_MEASURED,
            )
        )
    if spec.draws_samples and spec.samples < FEWEST:
        raise Refused(FEW_SAMPLES.format(count=spec.samples))
    if spec.draws_samples and compared < FEWEST_COMPARED:
        raise Refused(
            tr(
                "{run} has {compared} images to compare samples with; at least {fewest} are needed.",
                run=run.name,
                compared=compared,
                fewest=FEWEST_COMPARED,
            )
        )


def even(numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """An even choice of at most so many of them."""
    places = np.linspace(0, len(numbers) - 1, min(count, len(numbers))).astype(np.int64)
    return numbers[np.unique(places)]


def _drawn(
    done: Evaluation, source: Source, data: RunData, spec: EvaluationSpec, device: torch.device,
    control: Control,
) -> Generator[events.Event, None, Evaluation]:  # fmt: skip
    """What samples say.

    Raises:
        Cancelled: it was stopped.
    """
    space = QualitySpace(data.images.images, data.trained)
    steps = min(REFERENCE, source.tables.steps)
    asked = validated(SampleSpec, {"steps": steps, "count": spec.samples, "seed": spec.seed})
    chain = Chain(source, asked, device)
    if spec.quality:
        yield events.Preparing(tr("drawing samples"), 0, 0)
        samples = run_chain(chain, False, None, control)
        if samples is None:
            raise Cancelled
        done = replace(done, quality=space.measure(to_uint8(samples.samples)))
    if spec.calls:
        done = replace(done, calls=(yield from _calls(chain, space, spec.samples, control)))
    return done


def _calls(
    chain: Chain, space: QualitySpace, count: int, control: Control
) -> Generator[events.Event, None, FewCalls | None]:
    """How few calls are as good as fifty."""
    found, most = None, most_steps(chain.source.tables.steps)
    for done, told in enumerate(few_calls(chain, space, count)):
        if control.stopped:
            raise Cancelled
        found = told or found
        yield events.Preparing(tr("counting calls"), min(done, most), most)
    return found


def keep(run: Run[Any], fresh: Mapping[str, Any], read: Callable[[], Mapping[str, Any] | None]) -> None:
    """Writes what was measured beside the run, with what was measured before of the same step.

    Args:
        read: what lies there by now.
    """
    try:
        before = read() or {}
    except Refused as error:
        log.warning("%s Another takes its place.", error)
        before = {}
    same = before.get("step") == fresh["step"]
    whole = {key: before.get(key) if same and value is None else value for key, value in fresh.items()}
    write_atomically(run.path / FILE, to_json(finite(whole)))


class _Kept(BaseModel):
    """An evaluation on disk; what a newer version measured beside it is left out."""

    run: str
    step: int = Field(ge=0)
    held_out: bool
    elbo: BoundReport | None = None
    quality: Quality | None = None
    yardsticks: Yardsticks | None = None
    calls: FewCalls | None = None
    flow: FlowReport | None = None

    @model_validator(mode="after")
    def _whole(self) -> _Kept:
        if self.elbo is not None and len(self.elbo.terms) != len(self.elbo.term_errors):
            raise Refused(tr("not every term has its error"))
        return self


def read_evaluation(run: Run) -> dict[str, Any] | None:
    """What was measured about a run, or None.

    Raises:
        Refused: there is something that cannot be read; the message is a sentence for a person.
    """
    kept = read_kept(run, _Kept)
    return None if kept is None else Evaluation(**parts_of(kept)).to_dict()


def parts_of(kept: BaseModel) -> dict[str, Any]:
    """Its fields, whose values are left as they are."""
    return {name: getattr(kept, name) for name in type(kept).model_fields}


def read_kept(run: Run[Any], kind: type[Kept]) -> Kept | None:
    """What lies beside a run of what was measured, or None.

    Raises:
        Refused: there is something that cannot be read; the message is a sentence for a person.
    """
    try:
        return validated(kind, json_inside(run.path, FILE))
    except FileNotFoundError:
        return None
    except (OSError, Refused) as error:
        reason = str(error.strerror or error) if isinstance(error, OSError) else str(error)
        raise Refused(
            tr(
                "What was measured of {run} cannot be read: {reason}.",
                run=run.name,
                reason=reason.rstrip("."),
            )
        ) from None

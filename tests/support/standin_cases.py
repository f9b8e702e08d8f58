"""Every path of the product that runs on a device, each a case that takes an empty folder.

A case fails by raising; on a device nothing may wait in the middle of a step, and what comes out is what the
processor gives.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch

from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.describe import with_value
from diffusion_studio.core.guidance.guides import GuidanceCurve, Guide
from diffusion_studio.core.objective.losses import Loss
from diffusion_studio.core.objective.time_density import TimeDensity
from diffusion_studio.core.objective.weights import Weight
from diffusion_studio.core.process.schedules import LearnedSchedule, Schedule
from diffusion_studio.core.samplers import Sampler
from diffusion_studio.core.steps.clipping import Clipping
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.reconstruction import reconstructions
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import Source, open_named
from diffusion_studio.engine.chains.starts import InterpolatedStart, InvertedStart, NoisedStart, NoiseStart
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.chains.views import VIEWS
from diffusion_studio.engine.classifier.training import train_classifier
from diffusion_studio.engine.evaluation.evaluation import EvaluationSpec, evaluate, read_evaluation
from diffusion_studio.engine.evaluation.guidance_sweep import Judge, gamma_strip, sweep
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.plane.learner import PlaneTask
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.engine.runs.quality import QualitySpace
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.run_data import load_run_data
from diffusion_studio.engine.training.session import Session, new_session, resumed_session
from diffusion_studio.engine.training.trainer import train
from support import standin_codes
from support.classifiers import QUICK
from support.families import ready
from support.standin import DEVICE, NAME, no_waiting
from support.tiny import CPU, losses_told, only, tiny_config, with_training, write_pictures

Case = Callable[[Path], None]

EVERYTHING = {"predict": "v", "variance": "hybrid", "density": {"kind": "importance"}}
VARIANCES = ("fixed", "hybrid", "vlb")
T = 20
STEPS = 2  # the second one has moments and averages of a first
SHALLOW = (1,)  # levels of the network, where it is not what the case is about


# --- training ----------------------------------------------------------------------------------------------


def steps(folder: Path, close: float = 2e-3, multipliers: tuple[int, ...] = (1, 2), **config: Any) -> None:
    """A step waits for nothing, and loses what it loses on the processor."""
    usual = tiny_config(write_pictures(folder / "data"), T=T, flip=True, **config)
    settings = with_value(usual, "model.multipliers", multipliers)
    here, there = (new_session(folder / device.type, settings, device) for device in (DEVICE, CPU))
    for number in range(STEPS):
        with no_waiting():
            losses = _step(here, number)
        np.testing.assert_allclose(losses.cpu(), _step(there, number), rtol=close, atol=1e-4)


def _step(session: Session, number: int) -> torch.Tensor:
    batch = session.batches.batch(number, 16 * number, 16)
    result = session.learner.step(batch, number)
    session.batches.learn(batch.t, result.losses)
    return result.minimised


def skips_what_is_no_number(folder: Path) -> None:
    """A gradient that is not finite changes nothing, the first one neither."""
    session = new_session(folder / "run", tiny_config(write_pictures(folder / "data"), T=T), DEVICE)
    weights = session.learner.descent.weights
    for number in range(3):
        batch = session.batches.batch(number, 16 * number, 16)
        before = [weight.tolist() for weight in weights]
        session.learner.step(replace(batch, x_0=batch.x_0 * math.nan), number)
        assert [weight.tolist() for weight in weights] == before
        moments = session.learner.state().optimizer.values()
        assert all(bool(torch.isfinite(moment).all()) for moment in moments)
        session.learner.step(batch, number)
        assert [weight.tolist() for weight in weights] != before


def trains(folder: Path, close: float = 2e-3, **config: Any) -> None:
    """A whole training gives the losses that the processor gives, and goes on from its checkpoint."""
    settings = tiny_config(write_pictures(folder / "data"), T=T, **config)
    told = [
        list(train(new_session(folder / device.type, settings, device), Control()))
        for device in (DEVICE, CPU)
    ]
    for events_of in told:
        (finished,) = only(events_of, events.Finished)
        assert finished.outcome == "done", finished
    here, there = map(losses_told, told)
    np.testing.assert_allclose(here, there, rtol=close, atol=1e-4)
    longer = with_training(Run.open(folder / NAME).config, steps=6)
    resumed = resumed_session(folder / NAME, DEVICE, longer)
    (finished,) = only(train(resumed, Control()), events.Finished)
    assert finished.outcome == "done", finished


def _trainings() -> Iterator[tuple[str, Case]]:
    for kind in READINGS:
        for variance in VARIANCES:
            objective = {"predict": kind, "variance": variance}
            levels = (1, 2) if variance == "hybrid" else SHALLOW
            yield f"step {kind} {variance}", partial(steps, multipliers=levels, objective=objective)
    for kind, schedule in ready(Schedule).items():
        yield f"step schedule {kind}", partial(steps, multipliers=SHALLOW, schedule=schedule)
    for name, family in (("weight", Weight), ("loss", Loss), ("density", TimeDensity)):
        for kind, member in ready(family).items():
            yield f"step {name} {kind}", partial(steps, multipliers=SHALLOW, objective={name: member})
    yield "step of Muon", partial(steps, optimizer="muon")
    yield "step in bf16", partial(steps, close=0.05, precision="bf16", objective=EVERYTHING)
    yield "step that is no number", skips_what_is_no_number
    yield "training without labels", partial(trains, conditional=False)
    yield "training of everything", partial(trains, objective=EVERYTHING, preview_count=2)
    yield "training in bf16 with Muon", partial(trains, close=0.05, precision="bf16", optimizer="muon")
    yield "training of a schedule", partial(trains, schedule=LearnedSchedule())


# --- sampling ----------------------------------------------------------------------------------------------


@cache
def _trained() -> Path:
    """A run with two checkpoints, a learned variance and a classifier; trained on the processor."""
    place = Path(mkdtemp())
    usual = tiny_config(
        write_pictures(place / "data"),
        T=T,
        objective={"variance": "hybrid"},
        checkpoint_every=2,
        held_out=0.3,
    )
    settings = with_value(usual, "model.multipliers", SHALLOW)
    list(train(new_session(place / "run", settings, CPU), Control()))
    list(train_classifier(place / "run", QUICK, CPU, Control()))
    return place / "run"


@cache
def _source(device: torch.device) -> Source:
    """The run, opened once on each device; a chain changes nothing of it."""
    return open_named(str(_trained()), device)


def _picture(number: int) -> str:
    return str(sorted((_trained().parent / "data").rglob("*.png"))[number])


def _spec(**settings: Any) -> SampleSpec:
    return SampleSpec.model_validate({"steps": 5, "count": 4, "guidance": 2.0} | settings)


def samples(folder: Path, **settings: Any) -> None:
    """No step after the first waits for the device; states are those of the same chain here."""
    spec = _spec(**settings)
    steps = Chain(_source(DEVICE), spec, DEVICE).steps()
    next(steps)
    with no_waiting():
        for _ in steps:
            pass
    records = []
    for device in (DEVICE, CPU):
        record = Trajectory(Chain(_source(device), spec, device))
        for _ in record.compute():
            pass
        records.append(record)
    here, there = records
    for k in range(here.ready):
        values = {view: here.values(view, k) for view in VIEWS}
        assert all(value.shape == there.chain.shape for value in values.values())
        for view, expected in (("x_t", there.x_t(k)), ("x0_hat", there.x0_hat(k))):
            room = 0.02 * max(1, np.abs(expected).max())
            np.testing.assert_allclose(values[view], expected, atol=room)


def samples_in_bf16(folder: Path) -> None:
    """The network alone is asked in bf16: states are those of the same chain here, to two digits."""
    ends = []
    for device in (DEVICE, CPU):
        source = open_named(str(_trained()), device)
        source.denoiser.network.precision = "bf16"
        steps = Chain(source, _spec(sampler={"kind": "ddim"}), device).steps()
        next(steps)
        with no_waiting():
            *_, last = steps
        assert last.x_s.dtype == torch.float32
        ends.append(last.x_s.cpu())
    torch.testing.assert_close(*ends, rtol=0, atol=0.05 * float(ends[1].abs().max()))


def _samplings() -> Iterator[tuple[str, Case]]:
    for kind, sampler in ready(Sampler).items():
        yield f"sampling {kind}", partial(samples, sampler=sampler)
    for kind, guide in ready(Guide).items():
        yield f"sampling guide {kind}", partial(samples, guide=guide)
    yield "sampling in bf16", samples_in_bf16
    mean = {"kind": "classifier", "form": "mean"}
    yield "sampling guide mean", partial(samples, guide=mean, sampler={"kind": "ddpm"})
    for kind, curve in ready(GuidanceCurve).items():
        yield f"sampling curve {kind}", partial(samples, curve=curve)
    for kind, clip in ready(Clipping).items():
        yield f"sampling clipping {kind}", partial(samples, clip=clip)
    for start in (NoisedStart, InvertedStart, InterpolatedStart):
        yield f"sampling from {start.__name__}", partial(_begins, start)


def _begins(start: type[Any], folder: Path) -> None:
    samples(folder, start=start(images=(_picture(0), _picture(1)), share=0.6))


def reconstructs(folder: Path) -> None:
    start = InvertedStart(images=(_picture(0),))
    for _ in reconstructions(Chain(_source(DEVICE), _spec(start=start), DEVICE)):
        pass


def memorises(folder: Path) -> None:
    """The exact denoiser of the images, with its own classifier."""
    source = open_named(f"memorising:{_trained().parent / 'data'}", DEVICE)
    for guide in ({"kind": "free"}, {"kind": "classifier"}):
        for _ in Trajectory(Chain(source, _spec(guide=guide), DEVICE)).compute():
            pass


def branches(folder: Path) -> None:
    source = _source(DEVICE)
    parent = Trajectory(Chain(source, _spec(), DEVICE))
    for _ in parent.compute():
        pass
    branch = Trajectory(Chain(source, _spec(seed=1, start=NoiseStart()), DEVICE), parent=parent, leaves=2)
    for _ in branch.compute():
        pass


# --- what is measured --------------------------------------------------------------------------------------


def trains_a_classifier(folder: Path) -> None:
    shutil.copytree(_trained(), folder / "run")
    (finished,) = only(train_classifier(folder / "run", QUICK, DEVICE, Control()), events.Finished)
    assert finished.outcome == "done", finished


def evaluates(folder: Path) -> None:
    """The bound of both processors, to the third digit."""
    spec, totals = EvaluationSpec(images=3, samples=64), []
    for device in (DEVICE, CPU):
        shutil.copytree(_trained(), folder / device.type)
        for _ in evaluate(folder / device.type, spec, device, Control()):
            pass
        totals.append((read_evaluation(Run.open(folder / device.type)) or {})["elbo"]["total"])
    np.testing.assert_allclose(totals[0], totals[1], rtol=1e-3)


def trades_guidance(folder: Path) -> None:
    chain = Chain(_source(DEVICE), _spec(), DEVICE)
    for _ in gamma_strip(chain, (0.0, 1.0, 2.0)):
        pass
    images = load_run_data(Run.open(_trained())).images
    for _ in sweep(chain, Judge(images), QualitySpace(images.images), 6, (2.0,)):
        pass


def learns_the_plane(folder: Path) -> None:
    """The plane stays on the processor, whatever device the images are on."""
    loss = PlaneTask(PlaneSpec()).step(0, 0.0)
    assert loss.device == CPU


CASES: dict[str, Case] = {
    **dict(_trainings()), **dict(_samplings()),
    "reconstruction": reconstructs, "memorising": memorises, "branches": branches,
    "classifier": trains_a_classifier, "evaluation": evaluates, "guidance trade": trades_guidance,
    "plane": learns_the_plane, **standin_codes.CASES,
}  # fmt: skip

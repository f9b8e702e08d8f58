"""Which objective learns what on the digits in 1,000 steps, or in so many seconds?

    python -m benchmarks.objectives table     predictions × weights: distance, recognised, bits per dimension
    python -m benchmarks.objectives plain     the plain loss of each prediction, and nothing else
    python -m benchmarks.objectives family    that of ε, v, velocity, EDM and VE; bits by bound and flow
    python -m benchmarks.objectives iddpm     L_simple, L_hybrid and L_vlb
    python -m benchmarks.objectives vdm       the scatter of the loss under a learned and a straight schedule
    python -m benchmarks.objectives panel     what the per-timestep record costs a training, at T = 4,000
        [--steps 1000 | --seconds 60] [--folder DIR] [--only v] [--small]

A fifth of the digits is kept apart; the bound is measured on 32 of them, one draw of noise each, at
T = 1,000. Steps are counted, so that a busy machine changes nothing; --seconds gives every setting the same
training time instead, on a machine that is left alone. --only takes the rows whose name holds the word:
"v,", "min_snr", "L_vlb". --small takes a quarter of the network, T = 100 and batches of 64.
Every training runs through the command line. With --folder, what is already there is not trained again.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measuring import against, say_machine, table

if TYPE_CHECKING:
    from torch import Tensor

    from diffusion_studio.app import App
    from diffusion_studio.engine.training.batches import Batch
    from diffusion_studio.engine.training.learner import Learner

WEIGHTS = ("surrogate", "min_snr", "ddpm_elbo")
SMALL = {"model.width": "16", "diffusion.steps": "100", "training.batch_size": "64"}
PREDICTIONS = ("eps", "x_0", "v", "score")
VE = {"diffusion.forward.kind": "ve", "diffusion.schedule.kind": "geometric"}
FAMILY = {
    "ε, VP": {"objective.predict": "eps"},
    "v, VP": {"objective.predict": "v"},
    "velocity, straight path": {
        "objective.predict": "velocity", "diffusion.schedule.kind": "straight",
        "diffusion.forward.kind": "interpolating",
    },
    "EDM, VE": {"objective.predict": "edm", "objective.density.kind": "log_normal", **VE},
    "ε, VE": {"objective.predict": "eps", **VE},
}  # fmt: skip
IDDPM = {
    "L_simple": {},
    "L_hybrid": {"objective.variance": "hybrid"},
    "L_vlb": {"objective.variance": "vlb"},
    "L_vlb, t by importance": {"objective.variance": "vlb", "objective.density.kind": "importance"},
}


def command(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "diffusion_studio", *arguments], check=True, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


Length = tuple[str, str]  # the option that ends a training, and its value


def measured(
    folder: Path, name: str, length: Length, changes: dict[str, str], *more: str
) -> dict[str, float]:
    """Trains, samples and evaluates one setting; what was found."""
    run, found = folder / name, folder / f"{name}.json"
    if not found.is_file():
        sets = {"data.held_out": "0.2", "training.preview_count": "0", **changes}
        pairs = [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]
        shutil.rmtree(run, ignore_errors=True)  # of a round that was broken off
        command("train", "digits", "--run", str(run), *length, *pairs)
        samples = folder / f"{name}.npz"
        command("sample", str(run), "--out", str(samples), "--count", "500", "--steps", "50")
        command("evaluate", str(run), "--elbo", "--images", "32", "--draws", "1", "--out", str(found), *more)
    return {**judged(folder / f"{name}.npz"), **bound(found)}


def judged(path: Path) -> dict[str, float]:
    """Distance to the real digits, and the share that an SVM recognises as asked."""
    from sklearn.datasets import load_digits
    from sklearn.svm import SVC

    from diffusion_studio.engine.runs.quality import frechet_distance

    digits = load_digits()
    with np.load(path) as data:
        samples, labels = (data["samples"].reshape(len(data["samples"]), -1) + 1) / 2, data["labels"]
    asked = SVC().fit(digits.data / 16, digits.target).predict(samples) == labels
    return {"distance": frechet_distance(samples, digits.data / 16), "recognised": float(asked.mean())}


def bound(path: Path) -> dict[str, float]:
    content = json.loads(path.read_text())
    elbo = content["elbo"]
    found = {key: elbo[key] for key in ("total", "total_error", "other_total", "reconstruction")}
    flow = {f"flow_{key}": content["flow"][key] for key in ("bits", "error")} if content.get("flow") else {}
    return {"steps": content["step"], **found, **flow}


def within_bound(found: dict[str, float]) -> str:
    """Whether the flow needs no more bits than the bound, but for two standard errors; "" without a flow."""
    if "flow_bits" not in found:
        return ""
    room = 2 * math.hypot(found["flow_error"], found["total_error"])
    return against(found["flow_bits"], found["total"] + room)


def row(name: str, found: dict[str, float]) -> tuple[str, ...]:
    return (
        name, f"{found['steps']:.0f}", f"{found['distance']:.3f}", f"{found['recognised']:.3f}",
        f"{found['total']:.3f} ± {found['total_error']:.3f}", f"{found['other_total']:.3f}",
        f"{found['flow_bits']:.3f} ± {found['flow_error']:.3f}" if "flow_bits" in found else "",
        within_bound(found),
    )  # fmt: skip


HEADERS = (
    "setting",
    "steps",
    "Fréchet",
    "recognised",
    "bits/dim",
    "with the other σ²",
    "along the flow",
    "≤ bound",
)


Settings = dict[str, tuple[str, dict[str, str]]]  # by name: its folder, and what differs


def settings_of(what: str) -> Settings:
    """The rows of a table."""
    if what == "iddpm":
        return {name: (f"iddpm-{number}", changes) for number, (name, changes) in enumerate(IDDPM.items())}
    if what == "family":
        return {name: (f"family-{number}", changes) for number, (name, changes) in enumerate(FAMILY.items())}
    if what == "plain":  # choosing the prediction alone, as a person does
        return {f"{kind}, plain": (f"{kind}-plain", {"objective.predict": kind}) for kind in PREDICTIONS}
    return {
        f"{prediction}, {weight}": (
            f"{prediction}-{weight}", {"objective.predict": prediction, "objective.weight.kind": weight},
        )
        for prediction in PREDICTIONS for weight in WEIGHTS
    }  # fmt: skip


def measure_settings(
    folder: Path, length: Length, settings: Settings, only: str, more: dict[str, str], *options: str
) -> None:
    rows = []
    for name, (place, changes) in settings.items():
        if only in name:
            rows.append(row(name, measured(folder, place, length, {**more, **changes}, *options)))
            print(*rows[-1], sep="  ", flush=True)
    print()
    table(HEADERS, rows)


def measure_vdm(folder: Path, length: Length, more: dict[str, str]) -> None:
    """One trained network, asked under its learned ω and under the straight line between the same ends.

    The network counts time; a noise level of the straight line stands between two of its learned ones, so it
    is asked at that fractional time: as a function of ω it is the same denoiser.
    """
    import torch

    from diffusion_studio.engine.training.session import resumed_session

    run = folder / "vdm"
    if not (run / "config.json").is_file():
        sets = {"diffusion.schedule.kind": "learned", "training.preview_count": "0", "data.held_out": "0.2"}
        pairs = [part for key, value in {**more, **sets}.items() for part in ("--set", f"{key}={value}")]
        command("train", "digits", "--run", str(run), *length, *pairs)
    session = resumed_session(run, torch.device("cpu"))
    learner, total = session.learner, session.learner.tables.steps
    learned = -learner.tables.log_snr[1:]
    straight = torch.linspace(float(learned[0]), float(learned[-1]), total, dtype=torch.float64)
    start = torch.linspace(-8, 8, total, dtype=torch.float64)
    found: dict[str, list[torch.Tensor]] = {"learned": [], "straight, same ends": [], "as it began": []}
    for n in range(40):
        batch = session.batches.batch(10**6 + n, 10**6 + 128 * n, 128)
        for name, omega in zip(found, (learned, straight, start), strict=True):
            found[name].append(total * vdm_losses(learner, batch, learned, omega))
    table(
        ("schedule", "loss, nats/dim", "standard deviation of one draw", "of a batch of 128"),
        [
            (name, f"{float(torch.cat(v).mean()):.4f}", f"{float(torch.cat(v).std()):.4f}",
             f"{float(torch.stack([x.mean() for x in v]).std()):.5f}")
            for name, v in found.items()
        ],
    )  # fmt: skip
    for share in (0, 0.25, 0.5, 0.75, 1):
        k = round(share * (total - 1))
        print(f"t = {k + 1}: learned ln SNR {-float(learned[k]):.3f}, straight {-float(straight[k]):.3f}")


def vdm_losses(learner: Learner, batch: Batch, learned: Tensor, omega: Tensor) -> Tensor:
    """The weighted loss of each sample under `omega`, by the EMA network that was trained under `learned`."""
    import torch

    now = omega[batch.t - 1]
    step = torch.where(batch.t > 1, now - omega[(batch.t - 2).clamp(min=0)], omega[1] - omega[0])
    a, b = (torch.sigmoid(s * now).sqrt().float()[:, None, None, None] for s in (-1, 1))
    times = torch.from_numpy(np.interp(now.numpy(), learned.numpy(), np.arange(len(learned)))).float()
    with torch.inference_mode():
        x_t = a * batch.x_0 + b * batch.noise
        eps_hat = learner.denoiser().network.predict(x_t, times + 1, batch.labels).value
    return (eps_hat - batch.noise).square().flatten(1).mean(1) * 0.5 * torch.expm1(step)


def least(work: Callable[[], object], repeats: int = 60) -> float:
    """Processor seconds of the quickest of many repeats: what it costs on a machine that is left alone."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def measure_panel(folder: Path) -> None:
    """Processor time of the record by timestep as a share of a second, and of the window's part of it."""
    for density in ("uniform", "importance"):
        measure_record(folder, density)
    measure_window_part()


def measure_record(folder: Path, density: str) -> None:
    """Four records, thirty updates of the averages and one transaction in each second, no window."""
    import torch

    from benchmarks.training import session_for
    from diffusion_studio.engine.jobs.control import Control
    from diffusion_studio.engine.loop.run_keeper import RunKeeper
    from diffusion_studio.engine.runs.metrics import Metrics
    from diffusion_studio.engine.training.trainer import ImageTask

    changes = {"diffusion.steps": 4000, "objective.density.kind": density}
    session = session_for(folder / f"record-{density}", "digits", changes)
    task = ImageTask(session, Control(), RunKeeper(session.run, 1, 0))
    metrics = Metrics(session.run.metrics_path, 0)
    t, errors = torch.randint(1, 4001, (128,)), torch.rand(128)
    steps = iter(range(1, 10**6))

    def write() -> None:
        step = next(steps)
        metrics.add(step, np.ones(1, np.float32), replace(task.by_timestep(), step=step))

    record, written = least(task.by_timestep), least(write)
    chance = session.batches.probabilities().numpy()
    averages = least(lambda: session.averages.add(t.numpy(), errors.numpy(), errors.numpy(), chance))
    learn, draw = (
        least(lambda: session.batches.learn(t, errors)), least(lambda: session.batches.batch(0, 0, 128))
    )  # fmt: skip
    metrics.close()
    share = 4 * record + 30 * averages + written
    print(
        f"T = 4000, {density}: record {1000 * record:.2f} ms, averages {1000 * averages:.3f} ms, transaction "
        f"{1000 * written:.2f} ms; {100 * share:.2f} % of each second, budget ≤ 2 %; in each step also "
        f"{1000 * learn:.3f} ms to learn and {1000 * draw:.2f} ms to draw the batch"
    )


def measure_window_part() -> None:
    """How long the window is busy with one message of a training at T = 4,000, Train page visible."""
    from benchmarks.window import built, started
    from diffusion_studio.engine.training.events import TimestepErrors

    t = np.arange(20.5, 4000, 40)

    def run(app: App) -> None:
        app.show()
        studio = built(app)
        studio.training.edit("diffusion.steps", 4000)
        studio.show_page("train")
        page, model = studio.train_page, studio.training
        model._update(run=Path("run"), run_steps=4000, phase="running")
        busy = []
        for step in range(1, 301):
            errors = 1 / t + np.random.default_rng(step).random(100) * 1e-3
            told = TimestepErrors(
                step, t, errors, errors, np.full(100, step), np.ones(100), np.full(100, 1 / 4000), errors
            )
            start = time.process_time()
            model._on_told(told)
            page.curves.timesteps.plot.paint_now()
            page.curves.timesteps.plot.canvas.viewport().repaint()
            busy.append(time.process_time() - start)
        busy.sort()
        model._update(run=None, phase="idle")
        print(
            f"window: one message and its painting take {1000 * busy[150]:.1f} ms (median), p99 "
            f"{1000 * busy[297]:.1f} ms, budget ≤ 50 ms"
        )

    started(run)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("table", "plain", "family", "iddpm", "vdm", "panel"))
    ends = parser.add_mutually_exclusive_group()
    ends.add_argument("--steps", type=int, default=1000)
    ends.add_argument("--seconds", type=float)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    say_machine()
    with tempfile.TemporaryDirectory() as place:
        folder = options.folder or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        more = SMALL if options.small else {}
        length = ("--seconds", str(options.seconds)) if options.seconds else ("--steps", str(options.steps))
        if options.what == "panel":
            measure_panel(folder)
        elif options.what == "vdm":
            measure_vdm(folder, length, more)
        else:
            flow = ("--flow",) if options.what == "family" else ()
            measure_settings(folder, length, settings_of(options.what), options.only, more, *flow)


if __name__ == "__main__":
    main()

"""What training costs beyond the bare loop, and what the window costs the training.

    python -m benchmarks.training [overhead] [window] [company] [forecast [FOLDER@SIDE ...]]

overhead  seconds per step of the trainer (batches, metrics, EMA, gradient clipping, events) ÷ of a bare loop
          (forward, backward, optimizer) of the same network with ready-made tensors; taken in turns, a step
          or two each. Both compute whole batches: what is chosen by measurement is the business of `company`.
          Previews and checkpoints are off, then on.
window    steps per second with the window open, the Train page visible and plotting ÷ without a window: two
          processes, of which one is stopped while the other one trains, in turns of half a second, for one
          that follows another differs from it by more than a window costs. Both split batches as one without
          a window chooses to. Then how late a timer of 10 ms comes, what the window's thread takes of a
          processor meanwhile (the timer takes some of it), and, in the same training, steps with the window
          to be seen ÷ hidden, in turns of two seconds.
company   steps of a training by itself and beside four programs that keep a processor busy each: in parts, as
          by default; with helper threads on whole batches; and with one thread. A fair share beside four is a
          third of what there is alone.
forecast  steps of a training of a minute as said before it begins, as said first while it goes on (after ten
          seconds), as they stand after twenty, and as they come to be; by itself and beside four programs,
          three times each; of the digits and parts of photographs, or of the digits and the folders that are
          given. Each is held to the budget; the middle one says what is left where a machine's speed swings.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import copy
import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from unittest.mock import patch

from benchmarks.measuring import (
    against,
    in_step,
    paired_ratio,
    pieced,
    say_machine,
    share_within,
    table,
    write_photo_crops,
)

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from diffusion_studio.app import App
    from diffusion_studio.engine.runs.config import RunConfig
    from diffusion_studio.engine.training.session import Session

OVERHEAD, SHARE, LAG, FORECAST = 1.03, 0.95, 0.016, 0.15
SETTLED, TURN = 1.0, 2.0  # seconds after the window was shown or hidden, and counted then
WOKEN, SHORT, SHORTS = 0.15, 0.6, 40  # seconds after a process goes on, and counted then; turns of each
KEPT = 1 << 20  # steps of which it is known when they were done
ROUNDS, TURNS = 12, 10  # of the overhead, and turns in each of them
WATCHED, PAIRS = 4.0, 4  # seconds, and how often each is measured
WARM_UP = 3.0  # seconds
BEGUN = 60  # steps after which a training is measured
TRAININGS = 3  # of the same pictures, whose forecasts are compared with what came
RGB: dict[str, object] = {"model.width": 32, "training.batch_size": 32}


def config_for(source: str, changes: dict[str, object]) -> RunConfig:
    from diffusion_studio.core.describe import with_value
    from diffusion_studio.engine.runs.config import RunConfig

    config = with_value(RunConfig(), "data.source", source)
    for key, value in changes.items():
        config = with_value(config, key, value)
    return config


def session_for(folder: Path, source: str, changes: dict[str, object]) -> Session:
    from diffusion_studio.engine.machine.devices import choose_device
    from diffusion_studio.engine.training.session import new_session

    return new_session(folder, config_for(source, changes), choose_device("cpu"))


# --- overhead -----------------------------------------------------------------------------------------------


def optimizers_by_hand(unet: nn.Module, muon: bool) -> list[Optimizer]:
    """torch's own fused AdamW over the weights as they are, and Muon over the matrices where it is chosen."""
    from torch.optim import AdamW

    from diffusion_studio.engine.loop.descent import is_inner
    from diffusion_studio.engine.loop.muon import Muon

    named = list(unet.named_parameters())
    inner = [w for name, w in named if muon and is_inner(name, w)]
    others = [w for name, w in named if not (muon and is_inner(name, w))]
    return [AdamW(others, fused=True), *([Muon(inner)] if inner else [])]


def bare_loop(session: Session, steps: int) -> Callable[[], int]:
    """Forward, backward and step of the same optimizers of a copy of the session's network, on one batch."""
    import torch
    from torch.nn.functional import mse_loss

    from diffusion_studio.models.unet import autocast

    learner = session.learner
    unet = copy.deepcopy(learner.unet)
    optimizers = optimizers_by_hand(unet, session.config.training.optimizer == "muon")
    batch = session.batches.batch(0, 0, session.config.training.batch_size)
    x, t, noise, labels = batch.x_0, batch.t - 1, batch.noise, batch.labels
    labels = None if labels is None else torch.where(labels < 0, learner.classes, labels)
    x = (0.5 * x + 0.5 * noise).contiguous(memory_format=learner.memory_format)

    def run() -> int:
        for _ in range(steps):
            with autocast(learner.device, learner.precision):
                (value,) = unet(x, t, labels, return_dict=False)
            loss = mse_loss(value.float(), noise)
            unet.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            for optimizer in optimizers:
                optimizer.step()
        return steps

    return run


def trainer_loop(session: Session, steps: int) -> Callable[[], int]:
    """At least `steps` steps of the trainer, to its next event."""
    from diffusion_studio.engine.jobs.control import Control
    from diffusion_studio.engine.training.trainer import train

    stream = train(session, Control())

    def run() -> int:
        first = session.counters.step
        while session.counters.step < first + steps:
            next(stream)
        return session.counters.step - first

    return run


def measure_overhead(folder: Path) -> None:
    crops = str(write_photo_crops(folder / "crops", 256, 32))
    off = {
        "training.preview_count": 0,
        "training.checkpoint_every": 10_000_000,
        "training.checkpoint_minutes": 1440,
    }
    rows = []
    digits: dict[str, object] = {}
    cases = (("digits, batch 128", "digits", digits), ("32×32 RGB, batch 32", crops, RGB))
    for name, source, changes in cases:
        for extras, more in (("off", off), ("on", {})):
            whole_batches = {**changes, **more, "training.parts": 1}
            session = session_for(folder / f"{name}-{extras}", source, whole_batches)
            sides = [pieced(loop(session, 1), TURNS) for loop in (bare_loop, trainer_loop)]
            bare, whole = in_step(sides, 0, ROUNDS)
            ratio = paired_ratio(whole, bare)
            verdict = against(ratio, OVERHEAD) if extras == "off" else ""
            precision = session.learner.precision
            times = (f"{1000 * median(bare):.1f}", f"{1000 * median(whole):.1f}")
            rows.append((name, precision, extras, *times, f"{ratio:.3f}", f"≤ {OVERHEAD}", verdict))
    table(("data", "precision", "previews, saves", "bare ms", "trainer ms", "ratio", "budget", ""), rows)


# --- window -------------------------------------------------------------------------------------------------


@contextmanager
def counted(count: Callable[[], None]) -> Iterator[None]:
    """Counts the steps of this process's trainings: what is told of them comes in lumps."""
    from diffusion_studio.engine.training.trainer import ImageTask

    original = ImageTask.step

    def step(task: ImageTask, number: int, share: float) -> Tensor:
        count()
        return original(task, number, share)

    with patch.object(ImageTask, "step", step):
        yield


def headless(parts: str, place: str) -> None:
    """Trains without a window, as the command line does, until it is killed."""
    from diffusion_studio.engine.jobs.control import Control
    from diffusion_studio.engine.training.trainer import train

    session = session_for(Path(place) / "run", "digits", {"training.parts": int(parts)})
    with counted(shared_times(place)):
        for _ in train(session, Control()):
            pass


def windowed(parts: str, place: str) -> None:
    """Trains in the window, the Train page visible, until it is killed."""
    from benchmarks.window import live, started

    def run(app: App) -> None:
        train_in_window(app, int(parts))
        live(3600)

    with counted(shared_times(place)):
        started(run)


def shared_times(place: str) -> Callable[[], None]:
    """Notes when each step begins in a file that another process looks into; their number comes first."""
    import numpy as np

    times = np.memmap(Path(place) / "steps", np.float64, "r+", shape=KEPT)

    def note() -> None:
        number = int(times[0]) + 1
        times[number] = time.perf_counter()
        times[0] = number

    return note


@contextmanager
def another(kind: str, parts: int, place: Path) -> Iterator[Callable[[float], float]]:
    """A training in a process that is stopped but when it is asked to go on for some seconds; its steps per
    second are the answer.
    """
    import numpy as np

    place.mkdir(parents=True)
    times = np.memmap(place / "steps", np.float64, "w+", shape=KEPT)
    command = [sys.executable, "-m", "benchmarks.training", kind, str(parts), str(place)]
    process = subprocess.Popen(command)
    try:
        while times[0] < BEGUN:
            if process.poll() is not None:
                raise SystemExit(f"{kind}: no training")
            time.sleep(0.1)
        process.send_signal(signal.SIGSTOP)

        def go_on(seconds: float) -> float:
            process.send_signal(signal.SIGCONT)
            time.sleep(WOKEN)
            first = int(times[0])
            time.sleep(seconds)
            last = int(times[0])
            process.send_signal(signal.SIGSTOP)
            return float((last - first) / (times[last] - times[first]))

        yield go_on
    finally:
        process.kill()
        process.wait()


def window_by_headless(folder: Path) -> tuple[list[float], list[float]]:
    """Steps per second without a window and with one, in turns."""
    parts = session_for(folder / "chosen", "digits", {}).config.training.parts
    rates: dict[str, list[float]] = {"headless": [], "windowed": []}
    with (
        another("headless", parts, folder / "headless") as alone,
        another("windowed", parts, folder / "windowed") as beside,
    ):
        for turn in range(2 * SHORTS):
            kind = "headless" if turn % 4 in (0, 3) else "windowed"
            rates[kind].append({"headless": alone, "windowed": beside}[kind](SHORT))
    return rates["headless"], rates["windowed"]


def lateness(
    live: Callable[[float], None], seconds: float = WATCHED, at: list[float] | None = None
) -> list[float]:
    """Seconds by which each beat of a 10 ms timer comes too late; `at` takes when it came."""
    from PySide6.QtCore import Qt, QTimer

    late: list[float] = []
    clock = [time.perf_counter()]
    timer = QTimer(interval=10, timerType=Qt.TimerType.PreciseTimer)

    def tick() -> None:
        now = time.perf_counter()
        late.append(max(0.0, now - clock[0] - 0.010))
        clock[0] = now
        if at is not None:
            at.append(now)

    timer.timeout.connect(tick)
    timer.start()
    live(seconds)
    timer.stop()
    return late


def train_in_window(app: App, parts: int = 0) -> None:
    """Shows the Train page and begins a training of the digits without an end."""
    from benchmarks.window import built, wait

    app.show()
    studio = built(app)
    wait(lambda: not studio.sampling.state.chains.busy and studio.training.state.data is not None)
    studio.show_page("train")
    studio.training.edit("training.seconds", 0.0)
    studio.training.edit("training.parts", parts)
    studio.training.start()
    wait(lambda: studio.training.state.step >= BEGUN)


def watched() -> dict[str, object]:
    """How late a timer of 10 ms comes while the window trains, and what the window costs the training."""
    from benchmarks.window import live, started

    found: dict[str, object] = {}

    def run(app: App) -> None:
        train_in_window(app)
        began, own = time.perf_counter(), time.thread_time()
        late = lateness(live)
        found["own"] = (time.thread_time() - own) / (time.perf_counter() - began)
        found["seen"] = seen_by_hidden(app, live)
        found.update(p50=share_within(late, 50), p99=share_within(late, 99), worst=max(late))

    started(run)
    return found


def seen_by_hidden(app: App, live: Callable[[float], None]) -> float:
    """Steps while the window is seen ÷ while it is hidden."""
    steps = [0]

    def add() -> None:
        steps[0] += 1

    found: dict[bool, list[float]] = {True: [], False: []}
    with counted(add):
        for turn in range(2 * TURNS):
            seen = turn % 4 in (0, 3)
            app.shell.setVisible(seen)
            live(SETTLED)
            first, began = steps[0], time.perf_counter()
            live(TURN)
            found[seen].append((steps[0] - first) / (time.perf_counter() - began))
    app.shell.show()
    return paired_ratio(found[True], found[False])


def measure_window(folder: Path) -> None:
    rows, ratios, lags, seen = [], [], [], []
    for number in range(PAIRS):
        place = folder / f"window-{number}"
        place.mkdir()
        alone, beside = window_by_headless(place)
        found = in_process("watched")
        ratios.append(paired_ratio(beside, alone))
        lags.append(found["p99"])
        seen.append(found["seen"])
        rows.append((
            f"{median(alone):.1f}", f"{median(beside):.1f}", f"{ratios[-1]:.3f}",
            *(f"{1000 * found[k]:.1f}" for k in ("p50", "p99", "worst")), f"{seen[-1]:.3f}",
            f"{100 * found['own']:.1f} %",
        ))  # fmt: skip
    headers = ("steps/s without window", "with window", "ratio", "timer late, ms: median", "p99", "worst")
    table((*headers, "seen ÷ hidden", "of a processor"), rows)
    ratio, lag = median(ratios), median(lags)
    print(f"seen ÷ hidden {median(seen):.3f}, budget ≥ {SHARE}: {against(median(seen), SHARE, least=True)}")
    print(f"ratio {ratio:.3f}, budget ≥ {SHARE}: {against(ratio, SHARE, least=True)}")
    print(f"lateness p99 {1000 * lag:.1f} ms, budget ≤ {1000 * LAG:.0f} ms: {against(lag, LAG)}")


def in_process(what: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.training", what]
    found: dict[str, float] = json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    )
    return found


# --- company ------------------------------------------------------------------------------------------------


def measure_company(folder: Path) -> None:
    crops = str(write_photo_crops(folder / "company", 256, 28))
    rows = []
    for name, source in (("digits", "digits"), ("28×28 RGB", crops)):
        shares = {}
        for kind in ("parts", "helper threads", "one thread"):
            alone, beside = steps_of(source, kind, 0), steps_of(source, kind, 4)
            shares[kind] = alone, beside
            rows.append((name, kind, f"{alone:.0f}", f"{beside:.0f}", "", ""))
        fair = shares["parts"][1] / (shares["parts"][0] / 3)
        rows.append((name, "share of a fair third", "", "", f"{fair:.2f}", "≥ 0.6"))
    table(("data", "", "steps alone", "beside four", "share", "budget"), rows)


def steps_of(source: str, kind: str, others: int) -> float:
    """Steps in 12 seconds in a process of its own."""
    environment = os.environ | ({"OMP_NUM_THREADS": "1"} if kind == "one thread" else {})
    parts = "0" if kind == "parts" else "1"
    command = [sys.executable, "-m", "benchmarks.training", "steps", source, parts]
    with busy(others):
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


@contextmanager
def busy(others: int) -> Iterator[None]:
    """Beside so many programs that keep a processor busy each."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(others)]
    try:
        yield
    finally:
        for one in programs:
            one.kill()
            one.wait()


def steps_here(source: str, parts: str) -> float:
    from diffusion_studio.engine.jobs.control import Control
    from diffusion_studio.engine.training.trainer import train

    with tempfile.TemporaryDirectory() as place:
        changes: dict[str, object] = {"training.parts": int(parts), "training.preview_count": 0}
        session = session_for(Path(place) / "run", source, changes)
        stream, began = train(session, Control()), time.perf_counter()
        while time.perf_counter() - began < WARM_UP:
            next(stream)
        first, began = session.counters.step, time.perf_counter()
        while time.perf_counter() - began < 12:
            next(stream)
        return (session.counters.step - first) * 12 / (time.perf_counter() - began)


# --- forecast -----------------------------------------------------------------------------------------------


def measure_forecast(folder: Path, given: Sequence[str]) -> None:
    rows, middle = [], []
    pictures = given or [
        f"{write_photo_crops(folder / f'crops-{side}', 256, side)}@{side}" for side in (28, 32, 64)
    ]
    for case, others in product(("digits@8", *pictures), (0, 4)):
        source, side = case.rsplit("@", 1)
        name = f"{Path(source).name} {side}×{side}"
        all_ = []
        for number in range(TRAININGS):
            with busy(others):
                said, steps = forecasts_of(folder / f"forecast-{name}-{others}-{number}", source, int(side))
            all_.append([each / steps - 1 for each in said])
            verdict = against(abs(all_[-1][1]), FORECAST)
            rows.append((name, f"{others}", f"{steps}", *(f"{error:+.0%}" for error in all_[-1]), verdict))
            print(*rows[-1], flush=True)
        middle.append((name, f"{others}", *(f"{median(errors):+.0%}" for errors in zip(*all_, strict=True))))
    columns = "before", "said first", "after twenty"
    table(("data", "beside", "steps", *columns, f"said first ≤ {FORECAST:.0%}"), rows)
    table(("the middle one", "beside", *columns), middle)


def forecasts_of(run: Path, source: str, side: int) -> tuple[tuple[int, int, int], int]:
    """Steps in a minute: before it begins, as said first, as it stands after twenty; in truth."""
    from diffusion_studio.data.load import load
    from diffusion_studio.engine.files.places import cache_dir
    from diffusion_studio.engine.jobs.control import Control
    from diffusion_studio.engine.machine.devices import choose_device
    from diffusion_studio.engine.training.forecast import Forecast
    from diffusion_studio.engine.training.trainer import train
    from diffusion_studio.engine.training.trial import tried

    changes: dict[str, object] = {"training.seconds": 60.0, "data.resolution": side}
    config = config_for(source, changes)
    before = tried(config, load(config.data, cache_dir()), choose_device("cpu"), lambda: False).forecast
    session = session_for(run, source, changes)
    young = [event for event in train(session, Control()) if isinstance(event, Forecast)]
    standing = [forecast for forecast in young if forecast.seconds <= 20 or forecast is young[0]]
    return (before.last_step, young[0].last_step, standing[-1].last_step), session.counters.step


def main() -> None:
    wanted = sys.argv[1:] or ["overhead", "window"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started beside it ends as well
    with tempfile.TemporaryDirectory() as place:
        os.environ["DIFFUSION_STUDIO_HOME"] = str(Path(place) / "home")
        if wanted[0] in ("headless", "windowed"):
            {"headless": headless, "windowed": windowed}[wanted[0]](*wanted[1:])
            return
        if wanted[0] == "watched":
            print(json.dumps(watched()))
            return
        if wanted[0] == "steps":
            print(steps_here(*wanted[1:]))
            return
        say_machine()
        if "forecast" in wanted:
            measure_forecast(Path(place), [word for word in wanted if "@" in word])
        if "company" in wanted:
            measure_company(Path(place))
        if "overhead" in wanted:
            measure_overhead(Path(place))
        if "window" in wanted:
            measure_window(Path(place))


if __name__ == "__main__":
    main()

"""How smoothly the plane moves, how fast it learns, how much memory it keeps.

    python -m benchmarks.plane [frames] [large] [drag] [train] [score] [energy]
                               [memory] [exact]

frames  10,000 particles, the exact score of eight modes, field and contours drawn: frames a second, and the
        time between two paints. One step a frame; Langevin (a still field), DDPM (a new one every frame).
large   the same with 100,000 particles.
drag    from a mode or γ being moved to the field, contours and arrows being painted.
train   how often the learned field is redrawn while the network trains, playing beside it.
score   20 seconds of training on each preset mixture: E‖ŝ−s‖² as a share of E‖s‖², under p_t, over all t.
energy  a minute (PLANE_SECONDS sets another number) of training of an energy on each shape, or on those that
        PLANE_SHAPES names ("line roll"): how far it is from −log p in nats, at five noise levels.
memory  minutes of play with everything on, guidance in turns too (default 10; PLANE_MINUTES sets another
        number): resident memory, warnings, and how late a timer of 10 ms comes.
exact   the largest errors of score, posterior, likelihood and Langevin's variance.
"""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import itertools
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal

import psutil

from benchmarks.measuring import against, say_machine, share_within, table
from benchmarks.training import lateness
from benchmarks.window import built, live, started, wait

if TYPE_CHECKING:
    from PySide6.QtCore import QObject
    from PySide6.QtWidgets import QWidget

    from diffusion_studio.app import App
    from diffusion_studio.engine.plane.spec import PlaneSpec
    from diffusion_studio.pages.plane.page import PlanePage
    from diffusion_studio.viewmodels.plane.model import PlaneViewModel

FRAMES, SECONDS = 600, 12.0
AFTER = 0.4  # seconds after a change, in which its forms and its first pictures are made
SIZE = (1280, 800)


class Paints:
    """Times at which a widget was painted."""

    def __init__(self, widget: QWidget) -> None:
        self.at: list[float] = []
        self._filter = _filter(self.at)
        widget.installEventFilter(self._filter)

    def gaps(self) -> list[float]:
        """Seconds between two paints, the first half second left out."""
        kept = [t for t in self.at if t > self.at[0] + 0.5]
        return [b - a for a, b in itertools.pairwise(kept)]


def _filter(found: list[float]) -> QObject:
    from PySide6.QtCore import QEvent, QObject

    class Filter(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            if event.type() == QEvent.Type.Paint:
                found.append(time.perf_counter())
            return False

    return Filter()


def opened(app: App) -> tuple[PlaneViewModel, PlanePage]:
    """The page, seen and at rest."""
    app.shell.resize(*SIZE)
    app.show()
    studio = built(app)
    studio.show_page("plane")
    wait(lambda: not studio.sampling.state.chains.busy and studio.training.state.reading is None)
    live(0.5)
    return studio.plane, studio.plane_page


def smooth(count: int, frames_a_second: float, worst: float | None) -> None:
    """Measures the play of `count` particles over eight modes."""

    def run(app: App) -> None:
        model, page = opened(app)
        model.modes.choose_shape("ring")
        rows = []
        for title, method in (("Langevin", "langevin"), ("DDPM", "ddpm")):
            model.choose_method(method)
            model.edit("process.steps", 1000)
            model.edit("count", count)
            model.editor.settle()
            model.restart()
            model.player.play()
            live(0.5)
            paints = Paints(page.plane)
            live(SECONDS)
            gaps = paints.gaps()
            rate, p99 = 1 / median(gaps), share_within(gaps, 99)
            rows.append((
                title, len(gaps), f"{rate:.1f}", against(rate, frames_a_second, least=True),
                f"{1000 * p99:.1f}", against(p99, worst) if worst else "", f"{1000 * max(gaps):.1f}",
                f"{page.plane.paint_milliseconds:.1f}",
            ))  # fmt: skip
        print(f"{count} particles, plane {page.plane.width()}×{page.plane.height()}")
        table(("", "frames", "median frames/s", "", "p99 ms", "", "worst ms", "last paint ms"), rows)

    started(run)


def measure_drag() -> None:
    def run(app: App) -> None:
        from PySide6.QtCore import QCoreApplication

        model, page = opened(app)
        rows = []
        for key, title in (
            ("three", "3 modes, one dragged"), ("ring", "8 modes, one dragged"),
            ("grid", "25 modes, one dragged"), ("ring", "8 modes, γ moved"),
        ):  # fmt: skip
            model.modes.choose_shape(key)
            model.edit("count", 10_000)
            guided = title.endswith("γ moved")
            model.edit("guide.label", 0 if guided else -1)
            model.editor.settle()
            model.player.play()
            live(0.5)
            times = []
            for k in range(120):
                mode = model.spec.modes[0]
                paints = Paints(page.plane)
                begun = time.perf_counter()
                if guided:
                    model.edit("guide.gamma", 2.0 + 0.1 * (-1) ** k)
                else:
                    model.modes.set_mode(0, mode.model_copy(update={"x": mode.x + 0.01 * (-1) ** k}))
                while not paints.at:
                    QCoreApplication.processEvents()
                times.append(time.perf_counter() - begun)
            p50, p99 = (share_within(times[5:], p) for p in (50, 99))
            rows.append((title, f"{1000 * p50:.1f}", f"{1000 * p99:.1f}", "≤ 33", against(p99, 0.033)))
        table(("ms from change to paint", "median", "p99", "budget", ""), rows)

    started(run)


def measure_training() -> None:
    def run(app: App) -> None:
        model, page = opened(app)
        model.modes.choose_shape("ring")
        model.edit("learning.seconds", 12.0)
        page.choose_field("learned")
        fields: list[float] = []
        model.scene.field_changed.connect(lambda field: fields.append(time.perf_counter()))
        wait(lambda: model.state.learning.trained)
        begun, first = time.perf_counter(), len(fields)
        wait(lambda: not model.state.learning.running)
        rate = (len(fields) - first) / (time.perf_counter() - begun)
        steps = model.state.learning.step / model.state.learning.seconds
        print(f"learned field redrawn {rate:.1f} times/s while training ({steps:.0f} steps/s): "
              f"{against(rate, 10, least=True)}")  # fmt: skip

    started(run)


def measure_score() -> None:
    from diffusion_studio.engine.jobs.control import Control
    from diffusion_studio.engine.machine.helper_threads import work_alone
    from diffusion_studio.engine.plane.learner import Learned, learn, score_error
    from diffusion_studio.engine.plane.shapes import SHAPES
    from diffusion_studio.engine.plane.spec import PlaneSpec

    rows = []
    work_alone()  # as in the window
    for shape in SHAPES:
        if not shape.fine:
            spec = PlaneSpec(shape=shape.key, modes=shape.make())
            *_, last = (event for event in learn(spec, Control()) if isinstance(event, Learned))
            error, size = score_error(
                spec.denoiser(), last.denoiser, dict.fromkeys(range(1, 1001), 0.001), 500
            )
            rows.append((shape.title, last.step, f"{100 * error / size:.2f} %", against(error / size, 0.05)))
            print(*rows[-1], flush=True)
    table(("20 s of training", "steps", "score error", "≤ 5 %"), rows)


def measure_energy() -> None:
    import torch

    from diffusion_studio.core.describe import with_values
    from diffusion_studio.engine.jobs.control import Control
    from diffusion_studio.engine.machine.helper_threads import work_alone
    from diffusion_studio.engine.plane.field import Window, learned_view
    from diffusion_studio.engine.plane.learner import Learned, learn
    from diffusion_studio.engine.plane.shapes import SHAPES
    from diffusion_studio.engine.plane.spec import PlaneSpec

    times, rows, seconds = (1, 10, 50, 200, 600), [], os.environ.get("PLANE_SECONDS", "60")
    asked = os.environ.get("PLANE_SHAPES", " ".join(shape.key for shape in SHAPES)).split()
    work_alone()  # as in the window
    for shape in (shape for shape in SHAPES if shape.key in asked):
        spec = PlaneSpec(shape=shape.key, modes=shape.make())
        spec = with_values(spec, [("learning.gives", "energy"), ("learning.seconds", seconds)])
        *_, last = (event for event in learn(spec, Control()) if isinstance(event, Learned))
        levels = ((t, spec.denoiser().level(t, torch.float32)) for t in times)
        found = [learned_view(level, last.denoiser, t, Window(), 24).apart for t, level in levels]
        nats = [f"{value:.3f}" for value in found]
        rows.append((shape.title, last.step, *nats, against(max(found), 0.1)))
        print(*rows[-1], flush=True)
    table((f"{seconds} s of training", "steps", *(f"t = {t}" for t in times), "≤ 0.1 nats"), rows)


def lateness_row(title: str, late: list[float]) -> tuple[object, ...]:
    """How late the beats of a timer came, in seconds."""
    times = (f"{1000 * x:.1f}" for x in (median(late), share_within(late, 99), max(late)))
    return title, len(late), *times, *(sum(x > ms / 1000 for x in late) for ms in (15, 33, 50))


def measure_memory() -> None:
    minutes = float(os.environ.get("PLANE_MINUTES", "10"))

    def run(app: App) -> None:
        from PySide6.QtCore import QTimer, qInstallMessageHandler

        model, page = opened(app)
        process = psutil.Process()
        warned: list[str] = []
        qInstallMessageHandler(lambda kind, context, text: warned.append(text))
        warnings.showwarning = lambda message, *place: warned.append(str(message))
        model.edit("count", 10_000)
        model.edit("learning.seconds", 600.0)
        model.editor.settle()
        page.choose_field("learned")
        model.player.play()
        wait(lambda: model.state.learning.trained)
        methods = itertools.cycle(("langevin", "annealed", "ddpm", "ddim", "sde", "flow", "forward"))
        ways: tuple[Literal["short", "whole", "off"], ...] = ("short", "whole", "off")
        trails = itertools.cycle(ways)
        guided = itertools.cycle((-1, 0, 0, -1))
        found: list[tuple[float, float]] = []
        changed: list[float] = []
        at: list[float] = []
        begun = time.perf_counter()

        changes: Iterator[Callable[[], None]] = itertools.cycle((
            lambda: page.bar.methods.changed.emit(next(methods)),
            lambda: model.set_look(replace(model.state.look, trails=next(trails))),
            lambda: model.set_spec(guides(next(guided))),
        ))  # fmt: skip

        def guides(label: int) -> PlaneSpec:
            guide = model.spec.guide.model_copy(update={"label": label, "gamma": 3.0})
            return model.spec.model_copy(update={"guide": guide})

        def change() -> None:
            changed.append(time.perf_counter())
            next(changes)()
            found.append(((changed[-1] - begun) / 60, process.memory_info().rss / 1e6))

        paints = Paints(page.plane)
        clock = QTimer(interval=2000)
        clock.timeout.connect(change)
        clock.start()
        late = lateness(live, 60 * minutes, at)
        clock.stop()
        settled = [m for t, m in found if t > min(1.5, minutes / 4)]
        swing = max(settled) - min(settled)
        for t, m in found[:: max(1, len(found) // 10)]:
            print(f"  {t:4.1f} min  {m:.0f} MB")
        print(f"{minutes:g} minutes: {min(settled):.0f} … {max(settled):.0f} MB, swing {swing:.0f} MB "
              f"(± 20): {against(swing, 40)}")  # fmt: skip
        gaps = paints.gaps()
        print(f"frames {len(gaps)}, {1 / median(gaps):.0f} a second (median), p99 of a gap "
              f"{1000 * share_within(gaps, 99):.0f} ms, worst {1000 * max(gaps):.0f} ms")  # fmt: skip
        after = [any(0 <= end - t < AFTER for t in changed) for end in at]
        rows = [
            lateness_row(title, [x for x, is_after in zip(late, after, strict=True) if is_after == wanted])
            for title, wanted in (("playing", False), (f"in the {AFTER} s after a change", True))
        ]
        table(("timer of 10 ms, late", "beats", "median ms", "p99", "worst", "> 15 ms", "> 33", "> 50"), rows)
        print(f"warnings: {len(warned)} {warned[:3]}")

    started(run)


def measure_exactness() -> None:
    import torch

    from diffusion_studio.core.denoisers.mixture import Mixture, covariance
    from diffusion_studio.core.steps.flow import flow_log_likelihood, mixture_field
    from diffusion_studio.core.steps.langevin import langevin_step, stationary_variance
    from diffusion_studio.engine.plane.shapes import SHAPES, mixture_of
    from diffusion_studio.engine.plane.spec import PlaneSpec

    tables, rows = PlaneSpec().tables(), []
    score = posterior = flow = 0.0
    for shape in SHAPES:
        if shape.fine:
            continue
        mixture = mixture_of(shape.make())
        for t in range(0, 1001, 5):
            level, generator = mixture.at(tables.alpha_bar_at(t)), torch.Generator().manual_seed(t)
            x = torch.cat(
                [level.sample(20, generator), 8 * torch.rand(20, 2, generator=generator).double() - 4]
            )
            x.requires_grad_()
            (gradient,) = torch.autograd.grad(level.log_density(x).sum(), x)
            off = (level.score(x.detach()) - gradient).norm(dim=1) / gradient.norm(dim=1).clamp(min=1)
            score = max(score, float(off.max()))
            posterior = max(posterior, float((level.posterior(x.detach()).sum(1) - 1).abs().max()))
        points = mixture.at(1.0).sample(500, torch.Generator().manual_seed(0))
        exact = mixture.at(1.0).log_density(points)
        flow = max(flow, float((flow_log_likelihood(mixture_field(mixture), points) - exact).abs().max()))
    rows.append(("score against autograd", f"{score:.1e}", "1e-10", against(score, 1e-10)))
    rows.append(("posteriors sum to 1", f"{posterior:.1e}", "1e-12", against(posterior, 1e-12)))
    rows.append(("ln p along the flow", f"{flow:.1e}", "1e-3", against(flow, 1e-3)))
    one = torch.zeros(1, 2, dtype=torch.float64), covariance(0.7, 0.7, 0)[None]
    level = Mixture(*one, torch.ones(1), torch.zeros(1, dtype=torch.int64)).at(1.0)
    worst, generator = 0.0, torch.Generator().manual_seed(0)
    for step in (0.02, 0.1, 0.3):
        known = float(stationary_variance(0.49, step))
        x = 0.7 * torch.randn(100_000, 2, generator=generator, dtype=torch.float64)
        for _ in range(round(5 / step)):
            x = langevin_step(x, level.score(x), step, torch.randn(x.shape, generator=generator).double())
        worst = max(worst, abs(float(x.var()) / known - 1))
    rows.append(("Langevin's variance", f"{100 * worst:.2f} %", "1 %", against(worst, 0.01)))
    table(("largest error", "found", "budget", ""), rows)


CHOICES = {
    "frames": lambda: smooth(10_000, 60, 0.033),
    "large": lambda: smooth(100_000, 15, None),
    "drag": measure_drag,
    "train": measure_training,
    "score": measure_score,
    "energy": measure_energy,
    "memory": measure_memory,
    "exact": measure_exactness,
}


if __name__ == "__main__":
    wanted = sys.argv[1:] or list(CHOICES)
    if len(wanted) > 1:  # a process has one application at most
        for name in wanted:
            subprocess.run([sys.executable, "-m", "benchmarks.plane", name], check=True)
    else:
        say_machine()
        with tempfile.TemporaryDirectory() as place:
            os.environ["DIFFUSION_STUDIO_HOME"] = str(Path(place) / "home")
            CHOICES[wanted[0]]()

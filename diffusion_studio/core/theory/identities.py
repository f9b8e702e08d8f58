"""Two names for one thing: what two methods or formulas have in common, with the numbers of both."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.denoisers.denoiser import FunctionDenoiser
from diffusion_studio.core.denoisers.exact import GaussianDenoiser
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.denoisers.readings import DATA_STD, READINGS
from diffusion_studio.core.objective.any_chain import best_variance, best_variance_by_score
from diffusion_studio.core.process.forward import ForwardProcess
from diffusion_studio.core.process.forward.sub_variance_preserving import SubVariancePreserving
from diffusion_studio.core.process.forward.variance_exploding import VarianceExploding
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.schedules import LinearSchedule, StraightSchedule
from diffusion_studio.core.process.spacing import TrailingSpacing
from diffusion_studio.core.process.tables import Tables, diffuse
from diffusion_studio.core.samplers import DDIM, DDPM, Euler, EulerAncestral, FlowEuler, Sampler
from diffusion_studio.core.steps.clipping import Unclipped
from diffusion_studio.core.words import tr

STEPS, STD = 1000, 0.5


@dataclass(frozen=True)
class Compared:
    """One number, by both names."""

    what: str
    one: float
    other: float


@dataclass(frozen=True)
class Identity:
    """Two methods or formulas that are the same."""

    key: str
    title: str
    source: str
    one: str  # LaTeX
    other: str  # LaTeX
    names: tuple[str, str]
    why: str  # a paragraph
    numbers: Callable[[], tuple[Compared, ...]]


def _straight() -> Tables:
    return Tables.from_betas(StraightSchedule().betas(STEPS))


def _bent(tables: Tables) -> FunctionDenoiser:
    """A denoiser that bends, so that nothing agrees by accident."""
    return FunctionDenoiser(tables, lambda x, t: 0.9 * torch.tanh((1 + t / STEPS) * x - 0.3), "x_0")


def _ends(tables: Tables, one: Sampler, other: Sampler) -> tuple[Compared, ...]:
    """Where a chain from x_T = 1 ends, by two samplers of the same times and noise."""
    x, noise = torch.ones(1, 1, dtype=torch.float64), CounterNoise(0)

    def end(sampler: Sampler, steps: int) -> float:
        times = TrailingSpacing().times(tables, steps)
        *_, last = reverse_chain(_bent(tables), sampler, times, x, noise.step, clip=Unclipped())
        return float(last.x_s)

    return tuple(Compared(tr("x_0 after {n} steps", n=n), end(one, n), end(other, n)) for n in (2, 10, 50))


def _own_ends(process: ForwardProcess) -> tuple[Compared, ...]:
    """Where Euler ends that knows only a, b and states of the process, and DDIM in the coordinates of VP."""
    betas = LinearSchedule().betas(STEPS)
    tables, alpha_bar = process.tables(betas), Tables.from_betas(betas).alpha_bar
    a, b, found = process.signal(alpha_bar).tolist(), process.noise(alpha_bar).tolist(), []
    denoiser = _bent(tables)
    for steps in (2, 10, 50):
        times = TrailingSpacing().times(tables, steps)
        x = torch.full((1, 1), math.hypot(a[-1], b[-1]), dtype=torch.float64)
        *_, last = reverse_chain(denoiser, DDIM(), times, x / tables.scale_at(STEPS), clip=Unclipped())
        for t, s in itertools.pairwise(times):
            x0_hat = denoiser(x / math.hypot(a[t], b[t]), t).x0_hat
            x = a[s] * x0_hat + b[s] * (x - a[t] * x0_hat) / b[t]
        found.append(Compared(tr("x_0 after {n} steps", n=steps), float(x), float(last.x_s)))
    return tuple(found)


def _velocities() -> tuple[Compared, ...]:
    """The slope of the straight path between two times, and the reading of the denoiser there."""
    tables = _straight()
    x_0, noise = (torch.tensor([y], dtype=torch.float64) for y in (0.8, -1.3))
    found = []
    for t in (100, 500, 900):
        places = [_on_path(tables, time, x_0, noise) for time in (t - 1, t + 1)]
        rise = tables.path_time_at(t + 1) - tables.path_time_at(t - 1)
        alpha_bar = torch.tensor(tables.alpha_bar_at(t)).double()
        reading = READINGS["velocity"].target(x_0, noise, alpha_bar.sqrt(), (1 - alpha_bar).sqrt())
        found.append(Compared(tr("at t = {t}", t=t), float(places[1] - places[0]) / rise, float(reading)))
    return tuple(found)


def _denoised() -> tuple[Compared, ...]:
    """EDM's D by its table of factors, over ς, and x̂_0 as the reading has it, over ᾱ."""
    tables, found = Tables.from_betas(LinearSchedule().betas(STEPS)), []
    x_0, noise = (torch.tensor([y], dtype=torch.float64) for y in (0.8, -1.3))
    for t in (1, 200, 800):
        level, alpha_bar = tables.noise_level_at(t), tables.alpha_bar_at(t)
        x, width = x_0 + level * noise, math.hypot(level, DATA_STD)
        answer = torch.tanh(3 * x / width)  # F of c_in x, with c_in = 1/width
        d = DATA_STD**2 / width**2 * x + level * DATA_STD / width * answer
        read = Prediction("edm", answer, x * alpha_bar**0.5, alpha_bar).x0_hat
        found.append(Compared(tr("at t = {t}", t=t), float(d), float(read)))
    return tuple(found)


def _on_path(tables: Tables, t: int, x_0: Tensor, noise: Tensor) -> Tensor:
    return diffuse(x_0, noise, tables.alpha_bar_at(t)) / tables.path_scale_at(t)


def _variances() -> tuple[Compared, ...]:
    """σ*² for data N(0, 0.25) from the error of the estimate, and from the size of the score."""
    tables = Tables.from_betas(LinearSchedule().betas(STEPS))
    denoiser, points = GaussianDenoiser(tables, std=STD), torch.tensor([[1.0]]).double()
    found = []
    for t, s in ((1000, 900), (500, 450), (100, 1)):
        alpha_bar = tables.alpha_bar_at(t)
        whole = alpha_bar * STD**2 + 1 - alpha_bar  # the variance of x_t
        score = float(denoiser(points, t).score_hat) ** 2 * whole  # linear in x_t, so that this is its mean
        pair = (
            best_variance(tables, t, s, 0.0, STD**2 * (1 - alpha_bar) / whole),
            best_variance_by_score(tables, t, s, 0.0, score),
        )
        found.append(Compared(tr("σ*² from t = {t} to s = {s}", t=t, s=s), *pair))
    return tuple(found)


IDENTITIES = (
    Identity(
        "flow", tr("Flow matching's Euler is DDIM"), "Lipman et al. 2023, eq. 22; DDIM eq. 12",
        r"\frac{x_s}{m_s} = \frac{x_t}{m_t} + (u_s-u_t)\,(\hat\varepsilon-\hat x_0)",
        r"x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1-\bar\alpha_s}\,\hat\varepsilon",
        (tr("Euler in u"), "DDIM, η = 0"),
        tr(
            "With m = √ᾱ + √(1−ᾱ) and u = √(1−ᾱ)/m the state x_t/m lies on the straight path (1−u) x_0 + u "
            "ε. Both replace x_0 and ε by their estimates at t and go on along the line through them, so "
            "they meet at s. A rectified flow is a diffusion model whose levels are spaced evenly in u."
        ),
        lambda: _ends(_straight(), FlowEuler(), DDIM()),
    ),
    Identity(
        "velocity", tr("The velocity is a reading of the denoiser"),
        "Lipman et al. 2023, eq. 23; Liu et al. 2023, eq. 1",
        r"\frac{d}{du}\,\frac{x_t}{m_t}", r"\varepsilon - x_0", (tr("slope of the path"), "ε − x_0"),
        tr(
            "A network that is trained on the velocity says as much as one that is trained on ε, x_0, the "
            "score or v: each follows from each by numbers that depend on t alone. What differs is how the "
            "plain loss weighs the times."
        ),
        _velocities,
    ),
    Identity(
        "euler", tr("Euler along the probability flow is DDIM"), "EDM algorithm 1; DDIM eq. 12",
        r"\frac{x_s}{\sqrt{\bar\alpha_s}} = \frac{x_t}{\sqrt{\bar\alpha_t}}"
        r" + (\varsigma_s-\varsigma_t)\,\hat\varepsilon",
        r"x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1-\bar\alpha_s}\,\hat\varepsilon",
        (tr("Euler in ς"), "DDIM, η = 0"),
        tr(
            "Divided by √ᾱ the states are x_0 + ς ε, on which ε is the slope. The variance-exploding picture "
            "is the same process in other coordinates."
        ),
        lambda: _ends(Tables.from_betas(LinearSchedule().betas(STEPS)), Euler(), DDIM()),
    ),
    *(
        Identity(
            process.kind, tr("{title} is VP in other coordinates", title=process.title), process.source,
            process.formula,
            r"\frac{x_t}{\sqrt{a_t^2+b_t^2}} = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon,"
            r"\quad \frac{\bar\alpha_t}{1-\bar\alpha_t} = \frac{a_t^2}{b_t^2}",
            (tr("Euler in {title}", title=process.title), tr("DDIM in VP")),
            tr(
                "With a_t the share of the image and b_t that of the noise, the state divided by √(a² + b²) "
                "preserves the variance and has the same SNR. A network is shown another size of x_t; the "
                "chain is the same."
            ),
            functools.partial(_own_ends, process),
        )
        for process in (VarianceExploding(), SubVariancePreserving())
    ),
    Identity(
        "edm", tr("EDM's denoiser is a reading of its network"), "EDM eq. 7, table 1",
        r"D = \frac{\sigma_d^2}{\varsigma^2+\sigma_d^2}\,x + \frac{\varsigma\,\sigma_d}"
        r"{\sqrt{\varsigma^2+\sigma_d^2}}\,F\left(\frac{x}{\sqrt{\varsigma^2+\sigma_d^2}}\right),"
        r"\quad x = \frac{x_t}{\sqrt{\bar\alpha_t}}",
        READINGS["edm"].formula, ("D", tr("x₀ read from F")),
        tr(
            "EDM's network answers with numbers of unit variance, whatever the noise: near the data F is the "
            "noise, far from it the image. Its preconditioning is one more reading of a denoiser, over ς in "
            "the paper and over ᾱ here."
        ),
        _denoised,
    ),
    Identity(
        "ancestral", tr("Euler ancestral is DDPM"), "k-diffusion; Ho et al. 2020, eq. 7",
        r"\varsigma_{up}^2 = \varsigma_s^2\,\frac{\varsigma_t^2-\varsigma_s^2}{\varsigma_t^2}",
        r"\tilde\beta = \frac{1-\bar\alpha_s}{1-\bar\alpha_t}\,\beta_{t|s}", (tr("Euler ancestral"), "DDPM"),
        tr(
            "The noise that goes up again is that of the posterior, √ᾱ_s ς_up = √β̃, so that with the same "
            "fresh noise both take the same steps."
        ),
        lambda: _ends(Tables.from_betas(LinearSchedule().betas(STEPS)), EulerAncestral(), DDPM()),
    ),
    Identity(
        "variance", tr("The best reverse variance, by the error and by the score"),
        "Bao et al. 2022, theorem 1",
        r"\sigma_*^2 = \lambda^2 + g^2\,\frac{\mathbb{E}\|x_0-\hat x_0\|^2}{d}",
        r"\sigma_*^2 = \lambda^2 + \frac{1-\bar\alpha_t}{\bar\alpha_t}\,g^2"
        r"\left(1-(1-\bar\alpha_t)\frac{\mathbb{E}\|s\|^2}{d}\right)",
        (tr("by the error"), tr("by the score")),
        tr(
            "What an exact denoiser misses of x_0 is (1−ᾱ_t)/ᾱ_t times what its score lacks to that of pure "
            "noise; g is how far the mean of the step moves with x_0. The first form holds for any network. "
            "The numbers: data N(0, 0.25), λ = 0."
        ),
        _variances,
    ),
)  # fmt: skip
"""All that is shown."""

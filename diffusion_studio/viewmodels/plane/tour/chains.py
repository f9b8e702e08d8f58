"""The cards of the tour about reverse chains: σ, τ, and what a chain remembers of its start."""

from __future__ import annotations

from typing import Any

from diffusion_studio.core.process.forward.variance_exploding import VarianceExploding
from diffusion_studio.core.process.schedules import GeometricSchedule
from diffusion_studio.core.process.spacing import KarrasSpacing, LogSNRSpacing, TrailingSpacing
from diffusion_studio.core.samplers import DDIM, DDPM, AnnealedLangevin, Heun, ReverseSDE
from diffusion_studio.core.words import number, tr
from diffusion_studio.engine.plane.process import Forward, Process, Reverse
from diffusion_studio.viewmodels.plane.tour.card import STILL, Action, setting
from diffusion_studio.viewmodels.tours.tour import TourCard

_WHOLE = {"look_trails": "whole", "look_field": "exact"}


def _ring(eta: float) -> Action:
    process = Reverse(sampler=DDIM(eta=eta))
    return Action(f"η = {number(eta, 'g')}", setting("ring", process, count=4000, start="noise", **STILL))


EVERY_SIGMA = TourCard(
    tr("Every σ keeps the marginals"),
    tr(
        "DDIM has a free number at each step: how much fresh noise. Whatever it is, the cloud at every "
        "t is the same pₜ. Watch the energy distance stay within that of exact samples, for η = 0 as "
        "for η = 1; only the paths differ."
    ),
    "Stratos lemma 3.1; DDIM eq. 12",
    (_ring(0.0), _ring(0.5), _ring(1.0)),
)


def _moons(title: str, process: Process) -> Action:
    return Action(title, setting("moons", process, count=1500, start="noise", **_WHOLE))


ODE_AND_SDE = TourCard(
    tr("ODE and SDE reach the same data"),
    tr(
        "The probability flow has no noise, the reverse SDE has noise all the way. Both carry pure "
        "noise to the same p₀. Whole paths show the difference: smooth lines here, random walks there."
    ),
    "score SDE §4.3",
    (
        _moons(tr("The flow"), Reverse(sampler=Heun(), steps=60, spacing=LogSNRSpacing())),
        _moons(tr("The SDE"), Reverse(sampler=ReverseSDE(), steps=400)),
    ),
)

_ONE_NOISE: dict[str, Any] = {"count": 400, "start": "point", "start_x": 0.6, "start_y": 0.4, **_WHOLE}


def _from_one_noise(eta: float) -> Action:
    return Action(f"η = {number(eta, 'g')}", setting("three", Reverse(sampler=DDIM(eta=eta)), **_ONE_NOISE))


ETA = TourCard(
    tr("What η does"),
    tr(
        "All particles begin at one and the same noise. With η = 0 they stay together: the start alone "
        "decides. The larger η, the more the steps themselves decide where each one ends."
    ),
    "DDIM §4.1",
    (_from_one_noise(0.0), _from_one_noise(0.3), _from_one_noise(1.0)),
)

TAU = TourCard(
    tr("What τ does"),
    tr(
        "A chain need not visit every t. With few steps it matters which ones: steps that crowd near "
        "the data draw details, steps near the noise place the modes. Compare the energy distance at "
        "the end."
    ),
    "Stratos §3.3; EDM eq. 5",
    tuple(
        Action(
            tr("10 steps, {title}", title=cls.title),
            setting(process=Reverse(sampler=DDIM(), steps=10, spacing=cls())),
        )
        for cls in (TrailingSpacing, LogSNRSpacing, KarrasSpacing)
    ),
)

_DATA: dict[str, Any] = {"start": "data", "count": 3000, "look_color": "start", **STILL}

UP_AND_BACK = TourCard(
    tr("Up to the noise and back"),
    tr(
        "Exact samples go up to the noise, and a reverse chain brings them back. Colours by starting "
        "point show what is remembered. After fresh noise only the whole comes back, each point "
        "elsewhere. Up and down along the flow, nearly every point returns to its place."
    ),
    "Luo eq. 69; DDIM §4.3",
    (
        Action(tr("By the flow and back"), setting("three", Reverse(sampler=DDIM(), climb="flow"), **_DATA)),
        Action(tr("By noise and back"), setting("three", Reverse(sampler=DDPM()), **_DATA)),
        Action(tr("Only up"), setting("three", Forward(), count=3000, look_color="class", **STILL)),
    ),
)

_NCSN: dict[str, Any] = {
    "schedule": GeometricSchedule(smallest=0.05, largest=5), "count": 2000, "start": "noise", **STILL,
}  # fmt: skip


def _annealed(repeats: int) -> Process:
    sampler = AnnealedLangevin(repeats=repeats, size=0.1)
    return Reverse(sampler=sampler, steps=10, spacing=LogSNRSpacing())


NCSN = TourCard(
    tr("Ten levels, as NCSN had them"),
    tr(
        "The first score model knew no reverse chain: the data stay where they are, x₀ + ς ε (VE), and "
        "Langevin steps of c ς² walk down ten levels ς, each so many times the next. With a hundred steps a "
        "level the modes get their weights; with two the cloud lags behind the levels."
    ),
    "Song & Ermon 2019, algorithm 1; Luo eq. 160, 161",
    (
        Action(
            tr("100 steps a level"), setting("three", _annealed(100), forward=VarianceExploding(), **_NCSN)
        ),
        Action(tr("2 steps a level"), setting("three", _annealed(2), forward=VarianceExploding(), **_NCSN)),
        Action(tr("The same in VP"), setting("three", _annealed(100), **_NCSN)),
    ),
)

CHAINS = (EVERY_SIGMA, ODE_AND_SDE, ETA, TAU, UP_AND_BACK, NCSN)

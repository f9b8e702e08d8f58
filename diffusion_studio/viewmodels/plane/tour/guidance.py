"""The cards of the tour about guidance."""

from __future__ import annotations

from diffusion_studio.core.samplers import DDIM, DDPM
from diffusion_studio.core.words import number, tr
from diffusion_studio.engine.plane.guide import PlaneGuide
from diffusion_studio.engine.plane.process import Langevin, Process, Reverse
from diffusion_studio.viewmodels.plane.tour.card import STILL, Action, setting
from diffusion_studio.viewmodels.tours.tour import TourCard

LABEL = 2


def _towards(
    title: str, gamma: float, process: Process, start: str = "noise", learns: bool = False, **values: object
) -> Action:
    look = {**STILL, "look_tilted": True}
    change = setting(
        "three", process, guide=PlaneGuide(label=LABEL, gamma=gamma), start=start, t=0, count=3000,
        **{**look, **values},
    )  # fmt: skip
    return Action(title, change, learns)


COST = TourCard(
    tr("Guidance costs variety"),
    tr(
        "The score is pushed towards one class: s + γ ∇ ln p(y|x). At γ = 1 the particles are exact "
        "samples of the class. With larger γ they crowd together, away from the other classes: look at "
        "the spread. Point at the plane to see the three arrows."
    ),
    "Luo eq. 166; Ho & Salimans 2022, §4",
    tuple(_towards(f"γ = {number(gamma, 'g')}", gamma, Reverse(sampler=DDIM())) for gamma in (0, 1, 4, 12)),
)

END = TourCard(
    tr("Where guided chains end"),
    tr(
        "One reads that guidance samples p(x) p(y|x)^γ: the purple lines. It does not. The arrows at "
        "each t belong to such a product, but these densities are not noised versions of one another, "
        "so the chain drifts off. Langevin steps at t = 0 alone do end there."
    ),
    "Du et al. 2023, §3; Bradley & Nakkiran 2024",
    (
        _towards(tr("A guided chain, γ = 4"), 4, Reverse(sampler=DDPM())),
        _towards(tr("Langevin at t = 0, γ = 4"), 4, Langevin(adjusted=True), "point", start_y=-0.9),
        _towards(
            tr("A learned chain, γ = 4"),
            4,
            Reverse(sampler=DDPM()),
            learns=True,
            look_field="learned",
            learning_dropped=0.2,
            learning_predicts="v",
        ),
    ),
)

GUIDANCE = (COST, END)

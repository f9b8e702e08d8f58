"""The cards of the tour about the score: what it knows, and where it cannot be known."""

from __future__ import annotations

from typing import Any

from diffusion_studio.core.samplers import AnnealedLangevin
from diffusion_studio.core.words import tr
from diffusion_studio.engine.plane.process import Langevin, Reverse
from diffusion_studio.viewmodels.plane.tour.card import STILL, Action, setting
from diffusion_studio.viewmodels.tours.tour import TourCard

_ONE_POINT: dict[str, Any] = {
    "t": 0, "start": "point", "start_x": -0.05, "start_y": 0.5, "count": 3, "seed": 0,
    "look_trails": "whole", "look_field": "exact",
}  # fmt: skip
_ANNEALED = Reverse(sampler=AnnealedLangevin(), steps=300)

FOLLOWING = TourCard(
    tr("Following the score"),
    tr(
        "The arrows are the score: they point where the density grows. Langevin dynamics follows them "
        "and adds noise. Started many times at one point, it finds different modes; without noise it "
        "would always find the same one."
    ),
    "Luo figure 6",
    (
        Action(tr("Many chains from one point"), setting("three", Langevin(), **_ONE_POINT)),
        Action(tr("The same without noise"), setting("three", Langevin(heat=0.0), **_ONE_POINT)),
    ),
)

FAR_MODES = TourCard(
    tr("Why the modes come out wrong"),
    tr(
        "The score forgets the weights of modes that are far apart: the logarithm splits the weight "
        "off, and the gradient drops it. Each particle stays with the mode it started nearest to. With "
        "noise at many levels the modes melt together first, and the weights come back."
    ),
    "Luo eq. 159",
    (
        Action(
            tr("Two far modes, plain"), setting("two", Langevin(), t=0, start="window", count=4000, **STILL)
        ),
        Action(
            tr("Try annealing"),
            setting(
                "two",
                Reverse(sampler=AnnealedLangevin(repeats=3, size=0.2), steps=300),
                count=4000,
                start="noise",
                **STILL,
            ),
        ),
    ),
)

_LEARNED: dict[str, Any] = {
    "shape_key": "three", "process": Langevin(), "t": 40, "start": "window", "count": 2000,
    "look_trails": "short",
}  # fmt: skip
_ONE_LEVEL = _LEARNED | {"learning_levels": "one", "learning_seconds": 8.0}
_ALL_LEVELS = _LEARNED | {"learning_levels": "all", "learning_seconds": 20.0}
_DOWN = {"process": _ANNEALED, "start": "noise", "look_field": "learned"}

WITHOUT_DATA = TourCard(
    tr("Where no data are, nothing is learned"),
    tr(
        "A network that learns the score at one low noise level sees only places where data lie. "
        "Between the modes its arrows are invented (look at the error map), and a chain that comes "
        "down from noise by them goes astray. Learned at all levels, the score is right wherever the "
        "chain comes by, and the bars meet."
    ),
    "Luo after eq. 158; Song & Ermon 2019, §3.2.1",
    (
        Action(tr("Learn at one level"), setting(**_ONE_LEVEL, look_field="error"), learns=True),
        Action(tr("A chain by one level"), setting(**_ONE_LEVEL | _DOWN), learns=True),
        Action(tr("Learn at all levels"), setting(**_ALL_LEVELS, look_field="error"), learns=True),
        Action(tr("A chain by all levels"), setting(**_ALL_LEVELS | _DOWN), learns=True),
    ),
)

_SMALL_STEPS = Langevin(step=0.002)

THIN_CURVE = TourCard(
    tr("Data on a thin curve"),
    tr(
        "Data often lie on a curve or a surface with nothing beside it. There the density is zero, its "
        "logarithm is not defined, and the score grows without bound: plain steps leap away. A little "
        "noise gives the curve a width, and every place a score."
    ),
    "Luo after eq. 158; Song & Ermon 2019, §3.2.1",
    (
        Action(tr("No noise"), setting("line", _SMALL_STEPS, t=0, count=2000, start="window", **STILL)),
        Action(
            tr("With noise, t = 150"),
            setting("line", _SMALL_STEPS, t=150, count=2000, start="window", **STILL),
        ),
        Action(tr("From noise to the curve"), setting("line", _ANNEALED, count=2000, start="noise", **STILL)),
    ),
)

SCORE = (FOLLOWING, FAR_MODES, WITHOUT_DATA, THIN_CURVE)

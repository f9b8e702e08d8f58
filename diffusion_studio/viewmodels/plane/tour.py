"""A guided tour of the plane: what to look at, why, and one click to see it."""

from __future__ import annotations

from typing import Any

from diffusion_studio.core.describe import members
from diffusion_studio.core.process.spacing import LogSNRSpacing, Spacing
from diffusion_studio.core.samplers import DDIM, DDPM, Heun, Sampler
from diffusion_studio.engine.plane.process import Forward, Langevin, Process, Reverse
from diffusion_studio.viewmodels.plane.tour_cards import Action, TourCard, setting
from diffusion_studio.viewmodels.plane.tour_guidance import guidance_cards


def _reverse(kind: str, steps: int = 200, **values: object) -> Process:
    return Reverse(sampler=members(Sampler)[kind](**values), steps=steps)


def cards() -> tuple[TourCard, ...]:
    """All cards, in the order in which they are best read."""
    spacings = members(Spacing)
    few = [
        Action(f"10 steps, {cls.title}", setting(process=Reverse(sampler=DDIM(), steps=10, spacing=cls())))
        for kind, cls in spacings.items()
        if kind in ("trailing", "log_snr", "karras")
    ]
    still = {"look_field": "exact", "look_trails": "short"}
    learned: dict[str, Any] = {
        "shape_key": "three", "process": Langevin(), "t": 40, "start": "window", "count": 2000,
        "look_trails": "short",
    }  # fmt: skip
    one_level = learned | {"learning_levels": "one", "learning_seconds": 8.0}
    all_levels = learned | {"learning_levels": "all", "learning_seconds": 20.0}
    down = {"process": _reverse("annealed_langevin", 300), "start": "noise", "look_field": "learned"}
    return (
        TourCard(
            "Following the score",
            "The arrows are the score: they point where the density grows. Langevin dynamics follows them "
            "and adds noise. Started many times at one point, it finds different modes; without noise it "
            "would always find the same one.",
            "Luo figure 6",
            (
                Action(
                    "Many chains from one point",
                    setting(
                        "three",
                        Langevin(),
                        t=0,
                        start="point",
                        start_x=-0.05,
                        start_y=0.5,
                        count=3,
                        seed=0,
                        look_trails="whole",
                        look_field="exact",
                    ),
                ),
                Action(
                    "The same without noise",
                    setting(
                        "three",
                        Langevin(heat=0.0),
                        t=0,
                        start="point",
                        start_x=-0.05,
                        start_y=0.5,
                        count=3,
                        seed=0,
                        look_trails="whole",
                        look_field="exact",
                    ),
                ),
            ),
        ),
        TourCard(
            "Why the modes come out wrong",
            "The score forgets the weights of modes that are far apart: the logarithm splits the weight "
            "off, and the gradient drops it. Each particle stays with the mode it started nearest to. With "
            "noise at many levels the modes melt together first, and the weights come back.",
            "Luo eq. 159",
            (
                Action(
                    "Two far modes, plain",
                    setting("two", Langevin(), t=0, start="window", count=4000, **still),
                ),
                Action(
                    "Try annealing",
                    setting(
                        "two",
                        _reverse("annealed_langevin", 300, repeats=3, size=0.2),
                        count=4000,
                        start="noise",
                        **still,
                    ),
                ),
            ),
        ),
        TourCard(
            "Where no data are, nothing is learned",
            "A network that learns the score at one low noise level sees only places where data lie. "
            "Between the modes its arrows are invented (look at the error map), and a chain that comes "
            "down from noise by them goes astray. Learned at all levels, the score is right wherever the "
            "chain comes by, and the bars meet.",
            "Luo after eq. 157; Song & Ermon 2019, §3.2.1",
            (
                Action("Learn at one level", setting(**one_level, look_field="error"), learns=True),
                Action("A chain by one level", setting(**one_level | down), learns=True),
                Action("Learn at all levels", setting(**all_levels, look_field="error"), learns=True),
                Action("A chain by all levels", setting(**all_levels | down), learns=True),
            ),
        ),
        TourCard(
            "Data on a thin curve",
            "Data often lie on a curve or a surface with nothing beside it. There the density is zero, its "
            "logarithm is not defined, and the score grows without bound: plain steps leap away. A little "
            "noise gives the curve a width, and every place a score.",
            "Luo after eq. 157; Song & Ermon 2019, §3.2.1",
            (
                Action(
                    "No noise",
                    setting("line", Langevin(step=0.002), t=0, count=2000, start="window", **still),
                ),
                Action(
                    "With noise, t = 150",
                    setting("line", Langevin(step=0.002), t=150, count=2000, start="window", **still),
                ),
                Action(
                    "From noise to the curve",
                    setting("line", _reverse("annealed_langevin", 300), count=2000, start="noise", **still),
                ),
            ),
        ),
        TourCard(
            "Every σ keeps the marginals",
            "DDIM has a free number at each step: how much fresh noise. Whatever it is, the cloud at every "
            "t is the same pₜ. Watch the energy distance stay within that of exact samples, for η = 0 as "
            "for η = 1; only the paths differ.",
            "Stratos lemma 3.1; DDIM eq. 12",
            (
                Action("η = 0", setting("ring", Reverse(sampler=DDIM()), count=4000, start="noise", **still)),
                Action(
                    "η = 0.5",
                    setting("ring", Reverse(sampler=DDIM(eta=0.5)), count=4000, start="noise", **still),
                ),
                Action(
                    "η = 1",
                    setting("ring", Reverse(sampler=DDIM(eta=1.0)), count=4000, start="noise", **still),
                ),
            ),
        ),
        TourCard(
            "ODE and SDE reach the same data",
            "The probability flow has no noise, the reverse SDE has noise all the way. Both carry pure "
            "noise to the same p₀. Whole paths show the difference: smooth lines here, random walks there.",
            "score SDE §4.3",
            (
                Action(
                    "The flow",
                    setting(
                        "moons",
                        Reverse(sampler=Heun(), steps=60, spacing=LogSNRSpacing()),
                        count=1500,
                        start="noise",
                        look_trails="whole",
                        look_field="exact",
                    ),
                ),
                Action(
                    "The SDE",
                    setting(
                        "moons",
                        _reverse("reverse_sde", 400),
                        count=1500,
                        start="noise",
                        look_trails="whole",
                        look_field="exact",
                    ),
                ),
            ),
        ),
        TourCard(
            "What η does",
            "All particles begin at one and the same noise. With η = 0 they stay together: the start alone "
            "decides. The larger η, the more the steps themselves decide where each one ends.",
            "DDIM §4.1",
            (
                Action(
                    "η = 0",
                    setting(
                        "three",
                        Reverse(sampler=DDIM()),
                        count=400,
                        start="point",
                        start_x=0.6,
                        start_y=0.4,
                        look_trails="whole",
                        look_field="exact",
                    ),
                ),
                Action(
                    "η = 0.3",
                    setting(
                        "three",
                        Reverse(sampler=DDIM(eta=0.3)),
                        count=400,
                        start="point",
                        start_x=0.6,
                        start_y=0.4,
                        look_trails="whole",
                        look_field="exact",
                    ),
                ),
                Action(
                    "η = 1",
                    setting(
                        "three",
                        Reverse(sampler=DDIM(eta=1.0)),
                        count=400,
                        start="point",
                        start_x=0.6,
                        start_y=0.4,
                        look_trails="whole",
                        look_field="exact",
                    ),
                ),
            ),
        ),
        TourCard(
            "What τ does",
            "A chain need not visit every t. With few steps it matters which ones: steps that crowd near "
            "the data draw details, steps near the noise place the modes. Compare the energy distance at "
            "the end.",
            "Stratos §3.3; EDM eq. 5",
            tuple(few),
        ),
        TourCard(
            "Up to the noise and back",
            "Exact samples go up to the noise, and a reverse chain brings them back. Colours by starting "
            "point show what is remembered. After fresh noise only the whole comes back, each point "
            "elsewhere. Up and down along the flow, nearly every point returns to its place.",
            "Luo eq. 69; DDIM §4.3",
            (
                Action(
                    "By the flow and back",
                    setting(
                        "three",
                        Reverse(sampler=DDIM(), climb="flow"),
                        start="data",
                        count=3000,
                        look_color="start",
                        **still,
                    ),
                ),
                Action(
                    "By noise and back",
                    setting(
                        "three",
                        Reverse(sampler=DDPM()),
                        start="data",
                        count=3000,
                        look_color="start",
                        **still,
                    ),
                ),
                Action("Only up", setting("three", Forward(), count=3000, look_color="class", **still)),
            ),
        ),
        *guidance_cards(),
    )

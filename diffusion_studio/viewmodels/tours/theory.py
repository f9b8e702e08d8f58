"""The tour of the Theory page: the bound, term by term, of the exact denoiser of the digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from diffusion_studio.core.process.schedules import CosineSchedule, LinearSchedule
from diffusion_studio.core.words import tr
from diffusion_studio.viewmodels.tours.tour import TourCard

LINEAR, COSINE = {"schedule": LinearSchedule()}, {"schedule": CosineSchedule()}
QUICK = {"steps": 100, "zero_terminal": False}  # so that the bound is there in seconds
LONG = {"steps": 1000, "zero_terminal": False}


@dataclass(frozen=True)
class Part:
    """A part of the page with its parameters."""

    title: str
    part: str
    values: Mapping[str, Any] = field(default_factory=dict)
    view: str = "terms"  # of the bound
    measures: bool = False  # the exact denoiser


def _bound(title: str, schedule: Mapping[str, Any], view: str = "terms", **values: Any) -> Part:
    return Part(title, "elbo", {**QUICK, **schedule, **values}, view, measures=True)


MEASURED = _bound(tr("Measure it"), LINEAR)

COUNTS = TourCard(
    tr("What the bound counts"),
    tr(
        "The bound counts the bits that it takes to send an image by the chain. The exact denoiser knows "
        "all 1,797 digits by heart: all there is to say is which of them comes. That takes log₂ 1797 = 10.8 "
        "bits, 0.169 for each of 64 pixels: the sum “matching Σ L” below the plot, and a little more as 100 "
        "steps are long."
    ),
    "Luo eq. 58; Course proposition 2.3",
    (MEASURED,),
)

WHERE = TourCard(
    tr("Where the bits lie"),
    tr(
        "L is large where x_t still leaves the choice among many images, and becomes small where it does "
        "not, or where the noise hides all. With the linear schedule half of the bits lie between t = 0.23 "
        "T and 0.41 T, with cosine later, from 0.44 T to 0.71 T. The sum stays what it is."
    ),
    "VDM §5.1; Luo eq. 110",
    (_bound(tr("Linear"), LINEAR), _bound(tr("Cosine"), COSINE)),
)

LAST = TourCard(
    tr("L₀: whole grey levels"),
    tr(
        "At t = 1 the exact denoiser knows the image. But its last step adds noise σ₁ and must hit one of "
        "256 levels: that is L₀, nine tenths of the whole bound with 100 steps. More steps end with a "
        "smaller σ₁ and pay less: compare 20 and 100 steps."
    ),
    "Ho et al. 2020, eq. 13",
    (_bound(tr("20 steps"), LINEAR, steps=20), _bound(tr("100 steps"), LINEAR)),
)

PRIOR = TourCard(
    tr("L_T: what is left at T"),
    tr(
        "L_T asks how far x_T is from pure noise. With the linear schedule 0.00004 of the image are left at "
        "T, and L_T is less than a ten-thousandth of a bit. With zero SNR at T it is 0. Nothing is learned "
        "in it. Look at the end of ln SNR."
    ),
    "Luo eq. 58; Lin et al. 2024, algorithm 1",
    (
        Part(tr("Linear"), "schedules", {**LONG, **LINEAR}),
        Part(tr("Zero SNR at T"), "schedules", {**LONG, **LINEAR, "zero_terminal": True}),
    ),
)


def _weights(title: str, error: str) -> Part:
    return Part(title, "weights", {**LONG, **LINEAR, "error": error, "axis": "t"})


WEIGHTS = TourCard(
    tr("L is an error with a weight"),
    tr(
        "Each L is λ_t times a squared error. On the ε error λ_t falls from 0.6 at t = 2 to 0.005 at t = "
        "350 and rises to 0.01 at T. On the x₀ error the same weight is half of what the SNR loses in the "
        "step, and only falls. What everybody trains is 1 on the ε error."
    ),
    "Luo eq. 110, 130; Ho et al. 2020, eq. 14",
    (_weights(tr("On the ε error"), "eps"), _weights(tr("On the x₀ error"), "x_0")),
)

TWO_SUMS = TourCard(
    tr("Two sums, one bound"),
    tr(
        "The same bound can be summed over triples of states, one after the other. Both sums have one mean, "
        "but with triples one draw scatters more than twenty times as much: “one draw scatters by” in the "
        "table. So every program takes the first."
    ),
    "Luo eq. 44, 58",
    (MEASURED,),
)

FEWER = TourCard(
    tr("What fewer steps cost"),
    tr(
        "A shorter chain has a larger bound: its steps are long, and the true step back is no longer a "
        "normal distribution. β̃ as the variance costs less than β with every number of steps S. The best "
        "variance is never worse than β̃, and far better with 10 steps, at whose last t the exact denoiser "
        "knows the image."
    ),
    "Bao et al. 2022, theorem 1; iDDPM §4",
    (_bound(tr("Fewer steps"), LINEAR, "steps"),),
)

CARDS = (COUNTS, WHERE, LAST, PRIOR, WEIGHTS, TWO_SUMS, FEWER)

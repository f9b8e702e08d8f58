"""The tour of the Sample page: chains of the built-in digits by their exact denoiser, nothing trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diffusion_studio.core.describe import validated
from diffusion_studio.core.samplers import DDIM, DDPM, Sampler
from diffusion_studio.core.words import number, tr
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.sample_spec import EVERY_CLASS, NO_CLASS, SampleSpec
from diffusion_studio.engine.chains.views import View
from diffusion_studio.viewmodels.sample.beside import NEAREST
from diffusion_studio.viewmodels.tours.tour import TourCard

THREE = 3  # the class that guidance asks for
TOTAL = 1000  # T of the exact denoiser


@dataclass(frozen=True)
class Scene:
    """Chains to look at, and where to stand and look."""

    title: str
    tree: ChainTree
    place: float = 0.0  # t as a share of T, 0 at the image
    view: View = "x0_hat"
    tab: str = "curves"
    apart: bool = False  # whether the plot of how far A and B are apart is brought into sight


def chain(sampler: Sampler, label: int = NO_CLASS, **values: Any) -> ChainTree:
    """One chain of sixteen images."""
    return ChainTree(spec=validated(SampleSpec, {"sampler": sampler, "label": label, **values}))


def beside(tree: ChainTree, time: int, **values: Any) -> ChainTree:
    """With a branch that leaves at `time` with these changes, the chain that it leaves beside it."""
    branched = tree.branched(time)
    spec = branched.spec_of(branched.active).model_copy(update=values)
    return branched.with_spec(spec).comparing(0)


AGAINST = TourCard(
    tr("DDPM against DDIM"),
    tr(
        "A and B begin at the same noise x_T. DDIM adds nothing on its way: whatever the fresh noise would "
        "be, A and B end in the same images. DDPM adds fresh noise z in every step: the same x_T ends in "
        "other images. “A and B apart” shows where."
    ),
    "DDIM eq. 12; Stratos corollary 3.2",
    (
        Scene(tr("DDIM and DDPM"), beside(chain(DDIM()), TOTAL, sampler=DDPM()), apart=True),
        Scene(tr("DDIM, other noise z"), beside(chain(DDIM()), TOTAL, seed=1), apart=True),
        Scene(tr("DDPM, other noise z"), beside(chain(DDPM()), TOTAL, seed=1), apart=True),
    ),
)

FEW_STEPS = TourCard(
    tr("DDIM with few steps"),
    tr(
        "Without fresh noise the chain follows one curve from noise to image, and few long steps stay near "
        "it. With 20 steps nine images in ten are those of 50 steps, with 5 still about seven. With DDPM "
        "nearly every image is another one."
    ),
    "DDIM §5.1; Stratos §3.3",
    (
        Scene(tr("DDIM, 50 and 20 steps"), beside(chain(DDIM()), TOTAL, steps=20), apart=True),
        Scene(tr("DDIM, 50 and 5 steps"), beside(chain(DDIM()), TOTAL, steps=5), apart=True),
        Scene(tr("DDPM, 50 and 20 steps"), beside(chain(DDPM()), TOTAL, steps=20), apart=True),
    ),
)


def _eta(eta: float) -> Scene:
    return Scene(f"η = {number(eta, 'g')}", chain(DDIM(eta=eta)), place=0.5, view="x_t", tab="by hand")


SIGMA = TourCard(
    tr("σ: how much fresh noise"),
    tr(
        "σ_t is the noise that a step adds. What it adds, the step takes away from the old noise before, so "
        "that x_t has the same size at every t, whatever σ is, and every chain ends in images of the data. "
        "Only in which ones differs. Look at σ_t under By hand."
    ),
    "Stratos lemma 3.1; DDIM eq. 12",
    (_eta(0.0), _eta(0.5), _eta(1.0)),
)


def _variance(title: str, steps: int, variance: str) -> Scene:
    sampler = validated(DDPM, {"variance": variance})
    return Scene(title, chain(sampler, steps=steps), place=0.2, view="x_t", tab="by hand")


TOO_LARGE = TourCard(
    tr("σ: too much for the step"),
    tr(
        "“Fixed large” adds the noise of the forward step, though the mean made room for less. In short "
        "steps both are nearly the same. With 5 long steps ‖x_t‖² becomes a fifth too large, and the last "
        "images keep some of that noise."
    ),
    "Ho et al. 2020, §3.2; DDIM §4.1",
    (
        _variance(tr("5 steps, large"), 5, "fixed_large"),
        _variance(tr("5 steps, β̃"), 5, "posterior"),
        _variance(tr("50 steps, large"), 50, "fixed_large"),
    ),
)


def _branch(time: int) -> Scene:
    tree = beside(chain(DDPM()), time, seed=1)
    return Scene(tr("Branch at t = {time}", time=time), tree, apart=True)


DECIDED = TourCard(
    tr("Where is the image decided?"),
    tr(
        "A leaves the chain B at t, with other fresh noise from there on. At t = 800 nothing is decided: A "
        "ends elsewhere. At t = 500 the kind of digit mostly stands already, the image does not. At t = 200 "
        "only details are left, and A ends in the same image."
    ),
    "Ho et al. 2020, §4.3",
    (_branch(800), _branch(500), _branch(200)),
)


def _estimate(t: int) -> Scene:
    return Scene(tr("At t = {t}", t=t), chain(DDIM()), place=t / TOTAL, tab=NEAREST)


BLUR = TourCard(
    tr("The estimate is a mean"),
    tr(
        "The estimate of the image is the mean of all images that x_t may have come from. At t = 900 those "
        "are nearly all, and every estimate is the same blur. At t = 500 few are left: three estimates in "
        "four are nearest to the image that they become. At t = 300 all are. Memory shows the nearest "
        "images."
    ),
    "Luo eq. 133",
    (_estimate(900), _estimate(500), _estimate(300)),
)


def _guided(gamma: float, title: str = "") -> Scene:
    tree = chain(DDIM(), label=THREE, guidance=gamma)
    return Scene(title or f"γ = {number(gamma, 'g')}", tree)


ASKS = TourCard(
    tr("Guidance: asking for a class"),
    tr(
        "The class y is 3. With γ = 0 the class is not heard: one image in ten is a 3. With γ = 1 the "
        "denoiser is the mean over the threes alone, and every image is one. All classes in turn: each "
        "image is of the class that it was asked for."
    ),
    "Luo eq. 162–170",
    (
        _guided(0.0),
        _guided(1.0),
        Scene(tr("All in turn"), chain(DDIM(), label=EVERY_CLASS)),
    ),
)

COSTS = TourCard(
    tr("Guidance: what it costs"),
    tr(
        "γ > 1 goes beyond the class: what the denoiser says with the class is moved further away from what "
        "it says without. That exaggerates what tells a 3 from other digits, and the images become alike: "
        "the larger γ, the fewer different ones, and the nearer they are to each other."
    ),
    "Ho & Salimans 2022, §4; Luo eq. 170",
    (_guided(1.0), _guided(4.0), _guided(20.0)),
)

CARDS = (AGAINST, FEW_STEPS, SIGMA, TOO_LARGE, DECIDED, BLUR, ASKS, COSTS)

"""The quantities that a recorded state can be asked for, and how each is shown as a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_studio.data.imageset import to_pictures
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.states import States

View = Literal["x0_hat", "x_t", "eps_hat", "score", "noise", "change", "forward", "unguided", "guidance"]
Values = NDArray[np.float32]  # (n, C, H, W)
IMAGES: tuple[View, ...] = ("x0_hat", "x_t", "forward", "unguided")  # in the range of pixels, [−1, 1]
ESTIMATES: tuple[View, ...] = ("x0_hat", "unguided")  # of the image itself: in a code, they are decoded


@dataclass(frozen=True, eq=False)
class StateRecord:
    """One state of a chain as it was kept, with the step that leaves it."""

    chain: Chain
    states: States
    k: int  # its number in that chain
    is_left: bool  # whether the step from it was taken
    trunk: Chain  # the one that all branches leave
    end: States | None  # its states, where it has come to its image

    @property
    def is_last(self) -> bool:
        """Whether it is the image itself, which no step leaves."""
        return self.k == self.states.steps

    @property
    def alpha_bar(self) -> float:
        return self.chain.source.tables.alpha_bar_at(self.chain.times[self.k])

    @property
    def knows_unguided(self) -> bool:
        """Whether x̂_0 at γ = 0 is known."""
        return self.is_last or self.chain.knows_unguided(self.chain.times[self.k])

    @property
    def nothing(self) -> Values:
        return np.zeros(self.states.shape, np.float32)


def x_t(state: StateRecord) -> Values:
    """The state itself."""
    return state.states.read("x_t", state.k)


def x0_hat(state: StateRecord) -> Values:
    """The estimate of the image seen from it; the last state is the image itself."""
    return x_t(state) if state.is_last else state.states.read("x0_hat", state.k)


def eps_hat(state: StateRecord) -> Values:
    """The estimate of the noise in it; nothing is left of it in the last one."""
    if state.is_last:
        return state.nothing
    if state.states.keeps("eps_hat"):
        return state.states.read("eps_hat", state.k)
    alpha_bar = state.alpha_bar
    noise: Values = (x_t(state) - alpha_bar**0.5 * x0_hat(state)) / (1 - alpha_bar) ** 0.5
    return noise


def score(state: StateRecord) -> Values:
    """The estimate of the score at it, −ε̂/√(1−ᾱ)."""
    found: Values = -eps_hat(state) / _noise_level(state)
    return found


def unguided(state: StateRecord) -> Values:
    """x̂_0 as it would be at γ = 0; 0 where that is not computed, at γ_t = 1."""
    if not state.knows_unguided:
        return state.nothing
    if state.is_last or not state.states.keeps("unguided"):
        return x0_hat(state)
    return state.states.read("unguided", state.k)


def guidance(state: StateRecord) -> Values:
    """What γ multiplies in ε̂, ε̂(y) − ε̂(∅); 0 where it is not computed."""
    if state.is_last or not state.states.keeps("guidance"):
        return state.nothing
    return state.states.read("guidance", state.k)


def noise(state: StateRecord) -> Values:
    """The fresh noise that the step from it added; none at the last one."""
    chain, k = state.chain, state.k
    learned = state.states.keeps("fraction")
    if state.is_last or chain.updates[k].draws == 0 or (learned and not state.is_left):
        return state.nothing
    update = chain.updates[k]
    draws = [chain.noise.step(chain.times[k], chain.shape, n) for n in range(update.draws)]
    fraction = torch.from_numpy(state.states.read("fraction", k)).to(draws[0]) if learned else None
    added = chain.spec.sampler.added_noise(update, draws, fraction)
    assert added is not None
    values: Values = added.cpu().numpy()
    return values


def change(state: StateRecord) -> Values:
    """What the step from it changed, x_s − x_t; nothing at the last one."""
    if not state.is_left:
        return state.nothing
    difference: Values = state.states.read("x_t", state.k + 1) - x_t(state)
    return difference


def forward(state: StateRecord) -> Values:
    """What the forward process makes of the image at this t, with one noise for all t (Luo figure 3).

    The image is the one that a person brought, else the one that the chain ends at, or as yet its estimate.
    """
    given = state.trunk.given
    image = _end(state) if given is None else given.cpu().numpy()
    noise = state.trunk.noise.start(state.trunk.shape).cpu().numpy()
    values: Values = state.alpha_bar**0.5 * image + (1 - state.alpha_bar) ** 0.5 * noise
    return values


def _end(state: StateRecord) -> Values:
    return x0_hat(state) if state.end is None else state.end.read("x_t", state.end.steps)


VIEWS: Mapping[View, Callable[[StateRecord], Values]] = {
    "x0_hat": x0_hat, "x_t": x_t, "eps_hat": eps_hat, "score": score,
    "noise": noise, "change": change, "forward": forward, "unguided": unguided, "guidance": guidance,
}  # fmt: skip


def picture(view: View, state: StateRecord) -> NDArray[np.uint8]:
    """What the eye sees of a quantity: a picture, or in a code its channels. (n, H, W, 1 or 3)"""
    source = state.chain.source
    if source.code is None or view not in ESTIMATES:
        return to_pictures(shown(view, state))
    return to_pictures(source.pictures(torch.from_numpy(VIEWS[view](state))).cpu().numpy())


def shown(view: View, state: StateRecord) -> Values:
    """A quantity in the range [−1, 1] of a picture.

    Images as they are; ε̂, codes and the score over three of their standard deviations, the others over three
    of what they are in this step.
    """
    values = VIEWS[view](state)
    in_a_code = state.chain.source.code is not None
    if view in IMAGES and not in_a_code:
        return values
    if view == "eps_hat" or view in IMAGES:
        scale = 3.0
    elif view == "score":
        scale = 3 / _noise_level(state)
    else:
        scale = 3 * float(np.sqrt((values**2).mean())) or 1.0
    return values / np.float32(scale)


def _noise_level(state: StateRecord) -> float:
    """√(1−ᾱ), and hardly anything at the image itself."""
    level: float = max(1 - state.alpha_bar, 1e-12) ** 0.5
    return level

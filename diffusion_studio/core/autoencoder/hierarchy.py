"""The bound of any hierarchy, a VAE and a diffusion model too, by one routine, in both its decompositions.

p(x, z_{1:T}) = p(z_T) p(x|z_1) ∏ p(z_{t−1}|z_t) (Luo eq. 23);
ELBO = E_q ln p(x, z_{1:T}) / q(z_{1:T}|x) (Luo eq. 28).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_studio.core.autoencoder.chains import Encoder
from diffusion_studio.core.autoencoder.gaussians import Normal

LogLikelihood = Callable[[Tensor, Tensor], Tensor]
"""ln p(x|z_1), (B, d), (B, n_1) → (B,)"""


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """An encoder chain and the decoder chain that goes back.

    Args:
        encoder: q.
        log_likelihood: ln p(x|z_1).
        decoder: (t, z_t) → p(z_{t−1}|z_t), t = 2 … T.
        prior: p(z_T); None: N(0, I).
    """

    encoder: Encoder
    log_likelihood: LogLikelihood
    decoder: Callable[[int, Tensor], Normal]
    prior: Normal | None = None

    @property
    def levels(self) -> int:
        return self.encoder.levels

    def top(self, like: Tensor) -> Normal:
        """p(z_T) for as many rows as `like` has."""
        if self.prior is not None:
            return Normal(self.prior.mean.expand_as(like), self.prior.covariance, self.prior.whole)
        return Normal(torch.zeros_like(like), torch.ones((), dtype=like.dtype, device=like.device))

    def draw(self, x: Tensor, noise: Callable[[int, Normal], Tensor]) -> list[Tensor]:
        """z_1 … z_T of one draw from q(z_{1:T}|x); `noise(t, q)` is standard, of the shape of its mean."""
        states, before = [], x
        for t in range(1, self.levels + 1):
            q = self.encoder.step(t, before)
            before = q.draw(noise(t, q))
            states.append(before)
        return states


@dataclass(frozen=True, eq=False)
class Terms:
    """The bound of one draw in its terms; their sum is the ELBO. nats (B,) each

    Args:
        reconstruction: ln p(x|z_1).
        matching: what each level between costs, from t = 2 (or, over triples, t = 1) on; ≤ 0 in the mean.
        prior: what the last level costs.
    """

    reconstruction: Tensor
    matching: tuple[Tensor, ...]
    prior: Tensor

    @property
    def total(self) -> Tensor:
        """The ELBO. (B,)"""
        return self.reconstruction + sum(self.matching, torch.zeros_like(self.prior)) + self.prior


def plain(model: Hierarchy, x: Tensor, states: Sequence[Tensor]) -> Tensor:
    """ln p(x, z_{1:T}) − ln q(z_{1:T}|x) of one draw, as it stands in Luo eq. 28. nats (B,)"""
    found = model.log_likelihood(x, states[0]) + model.top(states[-1]).log_density(states[-1])
    for t in range(2, model.levels + 1):
        found = found + model.decoder(t, states[t - 1]).log_density(states[t - 2])
    for t, (before, z) in enumerate(zip([x, *states], states, strict=False), 1):
        found = found - model.encoder.step(t, before).log_density(z)
    return found


def over_triples(model: Hierarchy, x: Tensor, states: Sequence[Tensor]) -> Terms:
    """Luo eq. 44: each level between is judged by both its neighbours; the last one by a divergence."""
    chain = [x, *states]
    matching = tuple(
        model.decoder(t + 1, chain[t + 1]).log_density(chain[t])
        - model.encoder.step(t, chain[t - 1]).log_density(chain[t])
        for t in range(1, model.levels)
    )
    last = model.encoder.step(model.levels, chain[-2])
    prior = -last.kl(model.top(states[-1]))
    return Terms(model.log_likelihood(x, states[0]), matching, prior)


def by_posterior(model: Hierarchy, x: Tensor, states: Sequence[Tensor]) -> Terms:
    """Luo eq. 58, Course proposition 2.3: each step back is judged by the one that knows x, a divergence."""
    matching = tuple(-matching_term(model, t, states[t - 1], x) for t in range(2, model.levels + 1))
    prior = -model.encoder.marginal(model.levels, x).kl(model.top(states[-1]))
    return Terms(model.log_likelihood(x, states[0]), matching, prior)


def matching_term(model: Hierarchy, t: int, z: Tensor, x: Tensor) -> Tensor:
    """KL(q(z_{t−1}|z_t, x) ‖ p(z_{t−1}|z_t)), t ≥ 2. nats (B,)"""
    return model.encoder.posterior(t, z, x).kl(model.decoder(t, z))

"""What is minimised: the squared error, or both terms of the bound, of a batch of images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_studio.core.autoencoder.decoders import Decoder
from diffusion_studio.core.autoencoder.gaussians import Normal, kl_to_standard, reparameterised
from diffusion_studio.core.autoencoder.hierarchy import Hierarchy, Terms, by_posterior, over_triples
from diffusion_studio.models.autoencoder import CodeNetwork, HierarchyNetwork


@dataclass(frozen=True, eq=False)
class BoundTerms:
    """Both terms for each image, in nats (a plain autoencoder: the squared error, and nothing).

    Args:
        reconstruction: −E_q ln p(x|z). (B,)
        kl: of each latent, or of each level of a hierarchy. (B, k)
    """

    reconstruction: Tensor
    kl: Tensor

    def loss(self, kl_weight: float = 1.0) -> Tensor:
        """Negative ELBO, the KL weighted. (B,)"""
        return self.reconstruction + kl_weight * self.kl.sum(1)


def squared_error(network: CodeNetwork, x: Tensor) -> BoundTerms:
    """‖x − D(E(x))‖² (Course §1.1)."""
    out = network.decode(network.encode(x)[0])
    return BoundTerms(((x - out) ** 2).flatten(1).sum(1), x.new_zeros(len(x), 1))


def bound_terms(
    network: CodeNetwork, decoder: Decoder, x: Tensor, generator: torch.Generator, draws: int = 1,
    exact_bins: bool = False,
) -> BoundTerms:  # fmt: skip
    """One estimate of both terms from `draws` draws of z (Luo eq. 22).

    Args:
        exact_bins: count the mass of 8-bit pixels instead of a density, so that bits per dimension compare.
    """
    of_pixels = decoder.log_mass if exact_bins else decoder.log_density

    def log_density(pixels: Tensor, out: Tensor) -> Tensor:
        return of_pixels(pixels, out, network.log_variance)

    if isinstance(network, HierarchyNetwork):
        many = x.repeat(draws, 1, 1, 1)
        found = hierarchy_terms(network.hierarchy(log_density), many.flatten(1), generator, network.fixed)
        levels = -torch.stack([*found.matching, found.prior], 1)
        return BoundTerms(
            -found.reconstruction.reshape(draws, -1).mean(0), levels.reshape(draws, len(x), -1).mean(0)
        )
    mean, log_variance = network.encode(x)
    noise = torch.randn((draws, *mean.shape), generator=generator, device=x.device)
    out = network.decode(reparameterised(mean, log_variance, noise))
    return BoundTerms(-log_density(x, out).mean(0), kl_to_standard(mean, log_variance))


def hierarchy_terms(model: Hierarchy, x: Tensor, generator: torch.Generator, fixed: bool) -> Terms:
    """The bound of one draw: by posteriors where they cost nothing, else over triples."""

    def noise(t: int, q: Normal) -> Tensor:
        return torch.randn(q.mean.shape, generator=generator, device=x.device)

    states = model.draw(x, noise)
    return by_posterior(model, x, states) if fixed else over_triples(model, x, states)

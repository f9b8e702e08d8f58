"""From a hierarchy to a diffusion model by three restrictions (Luo eq. 30 to 33).

The latents get the data's dimension, the encoder becomes a fixed linear one, its schedule ends at N(0, I).
"""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion_studio.core.autoencoder.chains import Noising
from diffusion_studio.core.autoencoder.gaussians import Normal
from diffusion_studio.core.autoencoder.hierarchy import Hierarchy
from diffusion_studio.core.objective.elbo import (
    FirstTerm,
    ReverseModel,
    continuous_term,
    posterior_gain,
    reverse_mean,
)
from diffusion_studio.core.process.tables import Tables

Shape = tuple[int, ...]


def diffusion_hierarchy(
    model: ReverseModel, tables: Tables, shape: Shape, first: FirstTerm = continuous_term
) -> Hierarchy:
    """A diffusion model as the hierarchy that it is.

    Args:
        model: (x_t, t) → (x̂_0, σ_t²).
        shape: of one image; the hierarchy's own states are flat. (C, H, W)
        first: −ln p(x_0|x_1) in nats.
    """

    def likelihood(x: Tensor, z: Tensor) -> Tensor:
        x0_hat, variance = model(z.reshape(-1, *shape), 1)
        return -first(x.reshape(-1, *shape), x0_hat, variance)

    def back(t: int, z: Tensor) -> Normal:
        x_t = z.reshape(-1, *shape)
        x0_hat, variance = model(x_t, t)
        spread = variance.flatten(1) if isinstance(variance, Tensor) and variance.ndim > 1 else variance
        return Normal(reverse_mean(tables, t, x_t, x0_hat).flatten(1), torch.as_tensor(spread, dtype=z.dtype))

    return Hierarchy(Noising(tables), likelihood, back)


def fixed_tables(levels: int, remaining: float) -> Tables:
    """A schedule of T levels whose ln SNR falls evenly to ᾱ_T = `remaining`.

    Args:
        levels: T ≥ 2.
        remaining: ᾱ_T, 0 … 1; near 0 the last level is N(0, I).
    """
    end = torch.tensor(remaining, dtype=torch.float64)
    log_snr = torch.linspace(4.0, float(end.log() - torch.log1p(-end)), levels, dtype=torch.float64)
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), log_snr.sigmoid()])
    return Tables.from_betas(1 - alpha_bar[1:] / alpha_bar[:-1])


def linear_denoiser(mean: Tensor, covariance: Tensor, tables: Tables) -> ReverseModel:
    """The best linear reverse step, of data N(mean, covariance): E[x_0|x_t] and the σ_t² that fits it.

    σ_t² = β̃_t plus what x_0 is uncertain by given x_t, seen through the step (Bao et al. 2022, theorem 1).
    """
    values, axes = torch.linalg.eigh(covariance)

    def model(x_t: Tensor, t: int) -> tuple[Tensor, float]:
        alpha_bar, flat = tables.alpha_bar_at(t), x_t.flatten(1)
        spread = alpha_bar * values + 1 - alpha_bar
        gain = alpha_bar**0.5 * values / spread
        x0_hat = mean + ((flat - alpha_bar**0.5 * mean) @ axes * gain) @ axes.T
        unsure = float((values * (1 - alpha_bar) / spread).mean())
        variance = float(tables.beta_tilde[t]) + posterior_gain(tables, t) ** 2 * unsure
        return x0_hat.reshape(x_t.shape), variance

    return model

"""Bits per dimension along the probability flow of a trained model, beside the bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.devices import finest
from diffusion_studio.core.objective.elbo import bits_per_dim, gaussian_nll
from diffusion_studio.core.process.tables import Tables, diffuse
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.steps.clipping import Clip
from diffusion_studio.core.steps.flow import Estimate, estimated_field, flow_log_likelihood
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.evaluation.measured_bound import reconstruction
from diffusion_studio.models.network import Network, NetworkDenoiser

TOLERANCE = 1e-2  # largest error of the number, bits per dimension
LEAST_TOLERANCE = 1e-3  # a network in single precision tells no finer
MOST_STEPS = 2000
_PIXELS_AT_ONCE = 64 * 32 * 32


@dataclass(frozen=True)
class FlowReport:
    """−log p of images along the flow, in bits per dimension."""

    images: int
    bits: float
    error: float  # standard error over images
    probes: int  # signs at random for each image, that stand in for the divergence
    conditional: bool  # whether each image's class was told
    within: float | None = None  # largest error of following the flow, bits per dimension; older ones lack it


def time_of(tables: Tables, alpha_bar: Tensor) -> Tensor:
    """The time at which ᾱ is met, between whole ones where ln ς lies between theirs, 1 … T. (B,)"""
    known = -tables.log_snr[1:].to(alpha_bar.device) / 2  # ln ς, rising
    wanted = (torch.log((1 - alpha_bar) / alpha_bar) / 2).clamp(known[0], known[-1])
    after = torch.searchsorted(known, wanted).clamp(1, len(known) - 1)
    low, high = known[after - 1], known[after]
    return after + (wanted - low) / (high - low)


def measure_flow(
    denoiser: NetworkDenoiser[Network], images: ImageSet, numbers: NDArray[np.int64], tolerance: float,
    probes: int, seed: int, device: torch.device, stopped: Callable[[], bool] = lambda: False,
) -> FlowReport:  # fmt: skip
    """Carries images up the flow from t = 1 to T, with steps as long as the tolerance allows.

    The image is told from x_1 as the chain tells it (L_0); above that the flow takes the place of the chain:
    −ln P(x_0) ≤ E[L_0 − ln p(x_1) + ln q(x_1|x_0)], with one x_1 of each image. So it differs from the bound
    (Luo eq. 58) in the way from T to 1 alone. x̂_0 is clipped to the range of pixels, as sampling and the
    bound have it: without that it is the flow of another model, and one of a network that has learned little
    needs bits more than the bound. Between whole times the network is told the time between.

    Args:
        numbers: which images are measured, (n,).
        tolerance: largest error of following the flow, bits per dimension.

    Raises:
        Refused: an image that cannot be followed within the tolerance; the message is a sentence.
    """
    tables, place = denoiser.tables, device if finest(device) == torch.float64 else torch.device("cpu")
    x_0 = torch.from_numpy(images.images[numbers].astype(np.float64) / 127.5 - 1).to(place)
    draws, dims = np.random.default_rng([seed, 7]), x_0[0].numel()
    noise = torch.from_numpy(draws.standard_normal(x_0.shape)).to(place)
    signs = torch.from_numpy(draws.choice((-1.0, 1.0), (probes, len(x_0), dims))).to(place)
    labels = torch.from_numpy(images.labels[numbers]).to(device) if denoiser.classes else None
    field = estimated_field(_estimate(denoiser, x_0.shape[1:], labels, device), signs)
    levels = tables.noise_level_at(1), tables.noise_level_at(tables.steps)
    x_1 = diffuse(x_0, noise, tables.alpha_bar_at(1)).flatten(1)
    nats = flow_log_likelihood(field, x_1, tolerance * dims * math.log(2), MOST_STEPS, stopped, levels)
    lost = int(nats.isnan().sum())
    if lost and not stopped():
        raise Refused(
            tr(
                "The flow of {lost} of {count} images could not be followed within {tolerance:g} "
                "bits per dimension in {most:,} steps; ask for a larger tolerance.",
                lost=lost,
                count=len(x_0),
                tolerance=tolerance,
                most=MOST_STEPS,
            )
        )
    known = -gaussian_nll(noise * (1 - tables.alpha_bar_at(1)) ** 0.5, 1 - tables.alpha_bar_at(1))  # ln q
    whole = reconstruction(denoiser, x_0, noise, labels, device).to(place) - nats + known.flatten(1).sum(1)
    bits = bits_per_dim(whole, dims).cpu().numpy()
    error = float(bits.std(ddof=1) / math.sqrt(len(bits))) if len(bits) > 1 else math.nan
    return FlowReport(len(bits), float(bits.mean()), error, probes, labels is not None, tolerance)


def _estimate(
    denoiser: NetworkDenoiser[Network], shape: torch.Size, labels: Tensor | None, device: torch.device
) -> Estimate:
    """ε̂ of flattened images, each at its own time, with gradients."""
    most = max(1, _PIXELS_AT_ONCE // math.prod(shape[1:]))

    def ask(x: Tensor, alpha_bar: Tensor, rows: Tensor) -> Tensor:
        x_t = x.view(-1, *shape).float().to(device)
        times = time_of(denoiser.tables, alpha_bar).float().to(device)
        told = None if labels is None else labels[rows.to(device)]
        value, _ = denoiser.predict(x_t, times, told)
        level = alpha_bar.view(-1, *[1] * len(shape)).to(device)
        return Clip()(Prediction(denoiser.kind, value, x_t, level)).eps_hat.flatten(1).to(x)

    def estimate(x: Tensor, alpha_bar: Tensor, rows: Tensor) -> Tensor:
        parts = [slice(begin, begin + most) for begin in range(0, len(x), most)]
        return torch.cat([ask(x[part], alpha_bar[part], rows[part]) for part in parts])

    return estimate

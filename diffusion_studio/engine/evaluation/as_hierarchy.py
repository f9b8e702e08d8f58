"""A diffusion run measured as the hierarchy that it is, by the routine that measures autoencoders."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from diffusion_studio.core.autoencoder.bridge import diffusion_hierarchy
from diffusion_studio.core.autoencoder.gaussians import Normal
from diffusion_studio.core.autoencoder.hierarchy import by_posterior, over_triples
from diffusion_studio.core.objective.elbo import discretised_term
from diffusion_studio.core.objective.weights import reverse_variance
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.runs.model_io import load_model
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.run_data import load_run_data


@dataclass(frozen=True)
class AsHierarchy:
    """The bound of a diffusion run by both decompositions, one draw of each image, bits per dimension."""

    name: str
    levels: int
    images: int
    total: float
    reconstruction: float
    matching: float
    prior: float
    spread: float  # over images
    triples: float
    triples_spread: float


def as_hierarchy(
    path: Path, count: int, seed: int, device: torch.device
) -> Iterator[tuple[int, int] | AsHierarchy]:
    """(done, total) steps of the reverse chain, then the result.

    Raises:
        Refused: no run of a diffusion model, or none of its checkpoints can be used.
    """
    run = Run.open(path)
    if run.config.model.code:
        raise Refused(
            tr("{run} is a diffusion in a code: its bound is one of codes, not of pixels.", run=run.name)
        )
    checkpoint, _ = run.newest_checkpoint()
    data, denoiser = load_run_data(run), load_model(checkpoint, device).denoiser
    tables, shape = denoiser.tables, data.images.images.shape[1:]
    numbers = data.apart if len(data.apart) else data.trained
    numbers = numbers[np.unique(np.linspace(0, len(numbers) - 1, min(count, len(numbers))).astype(int))]
    labels = torch.from_numpy(data.images.labels[numbers]).to(device) if denoiser.classes else None
    x = (torch.from_numpy(data.images.images[numbers]).double() / 127.5 - 1).flatten(1)
    variance, generator = reverse_variance(tables), torch.Generator().manual_seed(seed)
    known: dict[int, tuple[torch.Tensor, float]] = {}  # both decompositions ask for the same step

    def model(x_t: torch.Tensor, t: int) -> tuple[torch.Tensor, float]:
        if t not in known:
            x0_hat = denoiser(x_t.float().to(device), t, labels).x0_hat.cpu().double().clamp(-1, 1)
            known[t] = x0_hat, float(variance[t])
        return known[t]

    def noise(t: int, q: Normal) -> torch.Tensor:
        return torch.randn(q.mean.shape, generator=generator, dtype=torch.float64)

    hierarchy = diffusion_hierarchy(model, tables, tuple(shape), discretised_term)
    with torch.inference_mode():
        states = hierarchy.draw(x, noise)
        for t in range(1, tables.steps + 1):
            model(states[t - 1].reshape(-1, *shape), t)
            yield t, tables.steps
        one, other = by_posterior(hierarchy, x, states), over_triples(hierarchy, x, states)
    scale = -1 / (x.shape[1] * math.log(2))
    total, triples = one.total * scale, other.total * scale
    yield AsHierarchy(
        run.name, tables.steps, len(x), float(total.mean()), float((one.reconstruction * scale).mean()),
        float((torch.stack(one.matching).sum(0) * scale).mean()), float((one.prior * scale).mean()),
        float(total.std()), float(triples.mean()), float(triples.std()),
    )  # fmt: skip

"""A diffusion run measured as the hierarchy that it is, by the routine that measures autoencoders."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from diffusion_studio.core.autoencoder.bridge import diffusion_hierarchy
from diffusion_studio.core.autoencoder.gaussians import Normal
from diffusion_studio.core.autoencoder.hierarchy import by_posterior, over_triples
from diffusion_studio.core.objective.elbo import discretised_term
from diffusion_studio.core.objective.weights import reverse_variance
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.evaluation.evaluation import even, measured_images
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.model_io import load_model
from diffusion_studio.engine.runs.run import Run, list_runs
from diffusion_studio.engine.training.run_data import load_run_data
from diffusion_studio.models.autoencoder import Shape


@dataclass(frozen=True)
class AsHierarchy:
    """The bound of a diffusion run by both decompositions, one draw of each image, bits per dimension.

    Args:
        data: the fingerprint of the images that it learned.
        source: their name, and how large they are.
    """

    name: str
    data: str
    source: str
    levels: int
    images: int
    total: float
    reconstruction: float
    matching: float
    prior: float
    spread: float  # over images
    triples: float
    triples_spread: float


def named(images: ImageSet) -> str:
    """The images of a figure, in a few words."""
    return f"{images.name}, {images.resolution} px"


def newest_measurable(runs: Path, shape: Shape | None) -> Path:
    """The newest run of a diffusion of pixels that was saved and learned images of this shape, or of any.

    Raises:
        Refused: there is none.
    """
    for path in list_runs(runs, RunConfig.kind):
        with suppress(Refused):  # its config cannot be read
            run = Run.open(path)
            if not run.config.model.code and run.step and shape in (None, _learned_shape(run)):
                return path
    raise Refused(
        tr(
            "No diffusion run here can be measured beside these images: train one in their pixels, not in a "
            "code, on the Train page."
        )
    )


def _learned_shape(run: Run) -> tuple[object, object, object]:
    """The shape of its images, as data.json says."""
    known = run.manifest
    return known.get("channels"), known.get("resolution"), known.get("resolution")


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
    images, numbers, _ = measured_images(run, data, lambda: False)
    tables, shape, numbers = denoiser.tables, images.images.shape[1:], even(numbers, count)
    labels = torch.from_numpy(images.labels[numbers]).to(device) if denoiser.classes else None
    x = (torch.from_numpy(images.images[numbers]).double() / 127.5 - 1).flatten(1)
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
        run.name, data.images.fingerprint, named(data.images), tables.steps, len(x),
        float(total.mean()), float((one.reconstruction * scale).mean()),
        float((torch.stack(one.matching).sum(0) * scale).mean()), float((one.prior * scale).mean()),
        float(total.std()), float(triples.mean()), float(triples.std()),
    )  # fmt: skip

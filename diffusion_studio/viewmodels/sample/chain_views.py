"""What is seen of a chain, as frozen values: facts, pictures of a state, a strip of all, curves over it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.guidance.guides import DrawnGuidance
from diffusion_studio.core.samplers import SigmaCurve
from diffusion_studio.core.steps.kernel import posterior_variance
from diffusion_studio.core.steps.update import Update
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import channels_beside
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.records import place_of
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.chains.views import View

STRIP_COLUMNS, STRIP_ROWS = 12, 8
NOT_ASKED = tr("Takes no part while γ = 1, and is not computed.")
_COLD, _WARM = np.array([86, 180, 233], np.float32), np.array([230, 159, 0], np.float32)  # sky, orange
_ZERO = np.array([44, 49, 58], np.float32)


@dataclass(frozen=True, eq=False)
class Frame:
    """The pictures of one state."""

    images: NDArray[np.uint8]  # (n, H, W, C)
    captions: tuple[str, ...]
    rough: bool = False  # from a chain of a few steps, until the whole one is there
    other: NDArray[np.uint8] | None = None  # of the track that it is compared with
    difference: NDArray[np.uint8] | None = None  # (n, H, W, 3)
    distances: tuple[float, ...] = ()  # between both, sample by sample: root mean squares
    missing: str = ""  # why there is nothing to compare with; `other` and `difference` are empty then


@dataclass(frozen=True, eq=False)
class Strip:
    """The whole chain: rows are samples, columns are states."""

    images: NDArray[np.uint8]  # (rows · columns, H, W, C)
    columns: tuple[int, ...]  # the states
    titles: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ChainCurves:
    """Curves over the chain, one value for each state; NaN where it is not known."""

    times: tuple[int, ...]
    alpha_bar: NDArray[np.float64]
    log_snr: NDArray[np.float64]
    sigma: NDArray[np.float64]
    eps_norm: NDArray[np.float64]  # of one sample, or the mean
    distance: NDArray[np.float64]  # the same, to the end
    apart: NDArray[np.float64] | None = None  # the same, to the compared track
    guidance_norm: NDArray[np.float64] | None = None  # the same, of what γ multiplies; None without guidance
    sigma_learned: bool = False


@dataclass(frozen=True, eq=False)
class StepNoise:
    """σ over the steps of a chain, what it may be, and what the named choices would be. All (S,)"""

    times: tuple[int, ...]  # (S+1,)
    ceiling: NDArray[np.float64]
    sigma: NDArray[np.float64]
    named: Mapping[str, NDArray[np.float64]]
    points: tuple[tuple[float, float], ...] | None  # of the curve that a person draws


@dataclass(frozen=True, eq=False)
class ChainFacts:
    """What is known of a chain and its denoiser before the first step."""

    model: str = ""  # title of the denoiser
    model_step: int = 0
    exact: bool = True  # known in closed form, not learned
    learns_variance: bool = False  # the network says how much noise each pixel gets
    class_names: tuple[str, ...] = ()  # that can be asked for
    guided: bool = False  # whether guided and unguided estimates can be told apart
    total: int = 1000  # T
    times: tuple[int, ...] = ()  # (S+1,)
    alpha_bar: NDArray[np.float64] | None = None  # (T+1,)
    noise: StepNoise | None = None
    gammas: tuple[float, ...] = ()  # γ_t of each step (S,); none without classes
    drawn_gammas: tuple[tuple[float, float], ...] | None = None  # (t, γ_t), where the curve is drawn by hand
    megabytes: float = 0.0  # of all records
    on_disk: bool = False
    code: str = ""  # that the chain runs in, by name; empty: it runs in pixels


@dataclass(frozen=True)
class StepNumbers:
    """The numbers of the step that begins at a state."""

    t: int
    s: int
    update: Update
    gamma: float | None = None  # γ_t, where guidance has something to do with the step


def facts_of(record: Trajectory, records: Sequence[Trajectory]) -> ChainFacts:
    """What is known of the chain of `record`, one of `records`."""
    chain = record.chain
    source, spec, tables = chain.source, chain.spec, chain.source.tables
    drawn = None
    if isinstance(spec.curve, DrawnGuidance) and spec.guidance > 0:
        drawn = tuple((place * tables.steps, share * spec.guidance) for place, share in spec.curve.points)
    return ChainFacts(
        source.name, source.step, source.kind == "memorising", source.learns_variance, chain.class_names,
        record.is_guided, tables.steps, record.times, tables.alpha_bar.numpy(), step_noise_of(chain),
        tuple(spec.gamma(t, tables.steps) for t in chain.times[:-1]) if chain.class_names else (), drawn,
        sum(each.size for each in records) / 1e6, any(each.on_disk for each in records),
        "" if source.code is None else source.code.name,
    )  # fmt: skip


def step_of(record: Trajectory, position: int) -> StepNumbers | None:
    """The step that begins at a state; None at the image."""
    owner: Trajectory | None = record
    while owner is not None and position < owner.leaves:  # a step that is still the parent's
        owner = owner.parent
    if owner is None or position >= owner.steps:
        return None
    chain, t = owner.chain, owner.times[position]
    gamma = chain.spec.gamma(t, chain.source.tables.steps) if owner.is_guided else None
    return StepNumbers(t, owner.times[position + 1], chain.updates[position - owner.leaves], gamma)


def frame_of(
    record: Trajectory, position: int, view: View, other: Trajectory | None = None, theirs: int = -1
) -> Frame:
    """The pictures of a state, and perhaps of state `theirs` of another track."""
    images, rough = record.seen(view, position), not record.knows(view, position)
    captions = captions_of(record)
    if other is None or theirs < 0:
        return Frame(images, captions, rough)
    theirs_seen = other.seen(view, theirs)
    if record.is_decoded(view):
        difference = between(images, theirs_seen)
    else:
        difference = record.values(view, position) - other.values(view, theirs)
    return Frame(
        images, captions, rough, theirs_seen, diverging(difference), sizes_of(difference)
    )  # fmt: skip


def between(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The difference of pictures, in the range of pixels. uint8 (n, H, W, C) twice → (n, C, H, W)"""
    found: NDArray[np.float32] = (images.astype(np.float32) - others.astype(np.float32)) / np.float32(127.5)
    return found.transpose(0, 3, 1, 2)


def sizes_of(difference: NDArray[np.float32]) -> tuple[float, ...]:
    """The root mean square of each. (n, C, H, W)"""
    return tuple(np.sqrt((difference**2).reshape(len(difference), -1).mean(1)).tolist())


def nearest_state(other: Trajectory, time: int) -> int:
    """The state of another track that is nearest in time, of those that are known; −1 if there is none."""
    return min(place_of(other.times, time), other.ready - 1)


def guided_frame(record: Trajectory, position: int) -> Frame:
    """x̂_0 of a state with guidance, without it, and what guidance changes."""
    if not record.knows_unguided(position):
        images = record.seen("x0_hat", position)
        none = images[:0]
        return Frame(images, captions_of(record), other=none, difference=none, missing=NOT_ASKED)
    guided, unguided = record.seen("x0_hat", position), record.seen("unguided", position)
    if record.is_decoded("unguided"):
        difference = between(guided, unguided)
    else:
        difference = record.x0_hat(position) - record.values("unguided", position)
    return Frame(
        guided, captions_of(record), False, unguided, diverging(difference), sizes_of(difference)
    )  # fmt: skip


def diverging(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Signed values as colours: blue below zero, dark at zero, orange above; all on one scale.

    Args:
        values: (n, C, H, W); those of a colour are averaged.

    Returns:
        (n, H, W′, 3), as wide as the pictures
    """
    mean = channels_beside(values).mean(1)[..., None]
    share = mean / max(float(np.abs(mean).max()), 0.05)
    warm, cold = np.clip(share, 0, 1), np.clip(-share, 0, 1)
    colours = _ZERO * (1 - warm - cold) + _WARM * warm + _COLD * cold
    pixels: NDArray[np.uint8] = np.rint(colours).astype(np.uint8)
    return pixels


def captions_of(record: Trajectory) -> tuple[str, ...]:
    """The class asked of each sample; none for a model without classes."""
    labels, names = record.chain.labels(), record.chain.class_names
    return () if labels is None else tuple(names[int(k)] if k >= 0 else "∅" for k in labels)


def strip_of(record: Trajectory, view: View) -> Strip | None:
    """The chain so far, thinned out to a few columns; None before there are two states."""
    last = record.ready - 1
    if last < 1:
        return None
    columns = np.unique(np.linspace(0, last, min(STRIP_COLUMNS, last + 1)).round().astype(int))
    rows = min(STRIP_ROWS, record.chain.spec.count)
    cells = np.stack([record.seen(view, int(k))[:rows] for k in columns], axis=1)
    images = cells.reshape(-1, *cells.shape[2:])
    titles = tuple(str(record.times[k]) for k in columns)
    return Strip(np.ascontiguousarray(images), tuple(map(int, columns)), titles)


def curves_of(
    record: Trajectory, distances: NDArray[np.float64] | None, apart: NDArray[np.float64] | None,
    sample: int | None,
) -> ChainCurves:  # fmt: skip
    """Curves of one sample, or the mean over all.

    Args:
        distances: of each estimate to the last one (S, n).
        apart: of each state to that of the compared track (S+1, n).
    """
    tables, times, known = record.chain.source.tables, record.times, record.estimates

    def of(values: NDArray[np.float64]) -> NDArray[np.float64]:
        chosen: NDArray[np.float64] = values.mean(1) if sample is None else values[:, sample]
        return chosen

    eps, distance = np.full(len(times), np.nan), np.full(len(times), np.nan)
    eps[:known] = of(record.eps_norm[:known])
    guidance = None
    if record.is_guided:
        guidance = np.full(len(times), np.nan)
        guidance[:known] = of(record.guidance_norm[:known])
    if distances is not None:
        distance[: len(distances)] = of(distances)
    at = list(times)
    return ChainCurves(
        times, tables.alpha_bar[at].numpy(), tables.log_snr[at].numpy(),
        np.append(record.sigma, np.nan), eps, distance, None if apart is None else of(apart), guidance,
        record.chain.spec.sampler.uses_learned_variance,
    )  # fmt: skip


def step_noise_of(chain: Chain) -> StepNoise:
    """σ of a chain's own steps with its limits; those of a parent are not its to change."""
    tables, times = chain.source.tables, chain.times
    steps = list(itertools.pairwise(times))
    posterior = np.array([posterior_variance(tables, t, s) for t, s in steps]) ** 0.5
    large = np.array([tables.beta_between(t, s) if s else 0.0 for t, s in steps]) ** 0.5
    sampler = chain.spec.sampler
    return StepNoise(
        times,
        np.array([1 - tables.alpha_bar_at(s) for _, s in steps]) ** 0.5,
        np.array([update.added_sigma for update in chain.updates]),
        {"η = 1, β̃": posterior, "σ̂": large},
        sampler.points if isinstance(sampler, SigmaCurve) else None,
    )

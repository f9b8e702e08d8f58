"""Guidance in the plane: which class, how strongly, and who gives the score."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.denoiser import NO_LABEL, Denoiser
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.describe import Choice, knob
from diffusion_studio.core.guidance.guidance import GuidedDenoiser, constant
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.words import tr, trc
from diffusion_studio.engine.plane.shapes import CLASSES
from diffusion_studio.models.network import Network, NetworkDenoiser


class PlaneGuide(Choice):
    """A class, and how strongly the score is pushed towards it."""

    label: int = knob(
        NO_LABEL, title=tr("class"), symbol="y", ge=-1, lt=CLASSES, words={-1: trc("class", "none")},
        help=tr("The class that guidance leads to. The class of a mode is among its numbers: click the "
                "mode."),
    )  # fmt: skip
    gamma: float = knob(
        1.0, title=tr("guidance"), symbol="γ", ge=-2, le=20,
        help=tr("0 is unconditional, 1 is the score of the class, above 1 is stronger, below 0 leads away. "
             "Ho & Salimans write w = γ − 1. The gradient of ln p(y|x) by the exact classifier and the "
             "difference of the two exact scores are one and the same here."),
        formula=r"s(x_t) + \gamma\,\nabla\log p(y|x_t) = (1-\gamma)\,s(x_t) + \gamma\,s(x_t, y)",
        source="Luo eq. 166, 170",
    )  # fmt: skip


@lru_cache(maxsize=2)
def guided_network(base: NetworkDenoiser[Network], guide: PlaneGuide) -> Denoiser:
    """The network with guidance; as it is, where it was never told of classes."""
    return LearnedGuidance(base, guide.label, guide.gamma) if base.classes else base


class LearnedGuidance:
    """A network that knows classes, guided classifier-free (Luo eq. 170); it needs no labels when asked.

    Args:
        base: the network.
        label: y.
        gamma: γ.
    """

    def __init__(self, base: Denoiser, label: int, gamma: float) -> None:
        self._guided, self._label = GuidedDenoiser(base, constant(gamma)), label

    @property
    def tables(self) -> Tables:
        return self._guided.tables

    @property
    def learns_variance(self) -> bool:
        return self._guided.learns_variance

    def __call__(self, x_t: Tensor, t: int, labels: Tensor | None = None) -> Prediction:
        return self._guided(x_t, max(t, 1), torch.full((len(x_t),), self._label))

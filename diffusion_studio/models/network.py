"""The one way to read a network, while it is trained and afterwards: `predict`."""

from __future__ import annotations

from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.coordinates import Coordinates
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.denoisers.readings import PredictionKind
from diffusion_studio.core.process.tables import Tables


class Output(NamedTuple):
    """What a network says about x_t, in the shape and the precision of x_t."""

    value: Tensor  # what it predicts (B, …)
    fraction: Tensor | None = None  # v of a learned variance, as `Prediction` has it (B, …)


class Network(Protocol):
    """A network behind the conventions of this project: t from 1 to T, −1 for ∅.

    How it counts times and classes itself, and how it packs what it says, is known to `predict` alone.
    """

    @property
    def classes(self) -> int:
        """K, how many classes it was told of; 0 for a network without labels."""

    @property
    def learns_variance(self) -> bool:
        """Whether its outputs carry a fraction."""

    def predict(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None) -> Output:
        """Asks about every sample at its own time; gradients are recorded where they are wanted.

        Args:
            x_t: (B, …).
            t: (B,), 1 … T, on the device of x_t; whole, or between two where a network is told sinusoids.
            labels: int64 (B,), −1 for ∅; None means all −1.
        """


def predicted(
    network: Network, coordinates: Coordinates, x_t: Tensor, t: Tensor, labels: Tensor | None = None
) -> Output:
    """What a network says of x_t, both in the coordinates of chains; it is shown its own.

    Args:
        x_t: (B, …).
        t: (B,).
        labels: int64 (B,), −1 for ∅; None means all −1.
    """
    value, fraction = network.predict(coordinates.show(x_t, t), t, labels)
    return Output(coordinates.read(value, t), fraction)


N_co = TypeVar("N_co", bound=Network, covariant=True)


class NetworkDenoiser(Generic[N_co]):
    """A network as a denoiser. Nothing is remembered for gradients.

    Args:
        tables: the forward process that it was trained on.
        network: it is not changed.
        kind: what it predicts.
    """

    def __init__(self, tables: Tables, network: N_co, kind: PredictionKind = "eps") -> None:
        self.tables = tables
        self.network = network
        self.kind = kind
        self._coordinates = Coordinates.of(tables, kind)

    @property
    def classes(self) -> int:
        """How many classes it can be asked for."""
        return self.network.classes

    @property
    def learns_variance(self) -> bool:
        return self.network.learns_variance

    def predict(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None) -> Output:
        """What it says of each x_t (B, …) at a time t (B,) of its own; gradients are recorded."""
        return predicted(self.network, self._coordinates, x_t, t, labels)

    def __call__(self, x_t: Tensor, t: int, labels: Tensor | None = None) -> Prediction:
        """Predict at one time; at t = 0, which no network knows, what it says at 1."""
        t = max(t, 1)
        with torch.inference_mode():
            times = torch.full(x_t.shape[:1], t, device=x_t.device)
            value, fraction = self.predict(x_t, times, labels)
        return Prediction(self.kind, value, x_t, self.tables.alpha_bar_at(t), fraction=fraction)

"""How often each time t is drawn while training. One class per density."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import field_validator
from torch import Tensor

from diffusion_studio.core.curves import check_curve, curve_values
from diffusion_studio.core.describe import Member, OneOf, knob
from diffusion_studio.core.devices import finest
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr


class TimeDensity(Member):
    """A density over t = 1 … T. Concrete densities give `probabilities`."""

    family: ClassVar[str] = tr("Densities of t")

    learns: ClassVar[bool] = False  # whether it follows the measured losses

    @property
    def corrects(self) -> bool:
        """Whether each loss is divided by T p_t, so that the sum over t stays the same."""
        return False

    def probabilities(self, tables: Tables, mean_square: Tensor | None = None) -> Tensor:
        """p_1 … p_T, with sum 1.

        Args:
            tables: the forward process, with its T.
            mean_square: E[L_t²] of the weighted losses as measured, (T,); None where not yet known.

        Returns:
            (T,), float64 where the device of `mean_square` knows it
        """
        raise NotImplementedError


def _uniform(steps: int) -> Tensor:
    return torch.full((steps,), 1 / steps, dtype=torch.float64)


def _uniform_share(default: float) -> float:
    share: float = knob(
        default, title=tr("uniform share"), ge=0, le=1, advanced=True,
        help=tr("How much of the density stays uniform, so that no t is forgotten."),
        source="iDDPM §3.3, code",
    )  # fmt: skip
    return share


class AutoDensity(TimeDensity):
    """A choice that is left to the start of a training, which knows the images (`RunConfig.density_for`).
    benchmarks/RESULTS.md has what was measured for it.
    """

    kind: Literal["auto"] = "auto"
    rank: ClassVar[int] = -1

    title: ClassVar[str] = tr("auto")
    summary: ClassVar[str] = tr(
        "log-normal around the level that hides images of this size, where v is learned of pixels by its "
        "plain loss; by importance for L_vlb; uniform everywhere else."
    )
    formula: ClassVar[str] = r"P_{mean} = \ln\tfrac{n}{8} - 0.9"
    source: ClassVar[str] = "Hoogeboom et al. 2023; iDDPM §3.3"

    def probabilities(self, tables: Tables, mean_square: Tensor | None = None) -> Tensor:
        """Those of the uniform density, which stands in until the choice is made."""
        return _uniform(tables.steps)


class UniformDensity(TimeDensity):
    kind: Literal["uniform"] = "uniform"

    title: ClassVar[str] = tr("uniform")
    summary: ClassVar[str] = tr("every t as often as every other.")
    formula: ClassVar[str] = r"p_t = \frac1T"
    source: ClassVar[str] = "Ho et al. 2020, algorithm 1"

    def probabilities(self, tables: Tables, mean_square: Tensor | None = None) -> Tensor:
        return _uniform(tables.steps)


class ImportanceDensity(TimeDensity):
    kind: Literal["importance"] = "importance"
    floor: float = _uniform_share(0.001)

    learns: ClassVar[bool] = True
    title: ClassVar[str] = tr("by importance")
    summary: ClassVar[str] = tr("t whose losses are large is drawn more often; the sum stays unbiased.")
    formula: ClassVar[str] = r"p_t \propto \sqrt{\mathbb{E}[L_t^2]}"
    source: ClassVar[str] = "iDDPM eq. 18"

    @property
    def corrects(self) -> bool:
        return True

    def probabilities(self, tables: Tables, mean_square: Tensor | None = None) -> Tensor:
        if mean_square is None:
            return _uniform(tables.steps)
        root = mean_square.to(finest(mean_square.device)).sqrt()
        uniform = torch.full_like(root, 1 / len(root))
        total = root.sum()
        by_loss = torch.where(total > 0, root / total.clamp(min=1e-300), uniform)
        return (1 - self.floor) * by_loss + self.floor * uniform


class LogNormalDensity(TimeDensity):
    kind: Literal["log_normal"] = "log_normal"
    mean: float = knob(
        -1.2, title=tr("mean of ln ς"), symbol="P_mean", ge=-8, le=8,
        help=tr("The noise level that is trained on most often, as a logarithm."), source="EDM table 1",
    )  # fmt: skip
    std: float = knob(
        1.2, title=tr("spread of ln ς"), symbol="P_std", ge=0.1, le=8,
        help=tr("How far around it the levels reach; the larger, the more even over all of them."),
        source="EDM table 1",
    )  # fmt: skip
    floor: float = _uniform_share(0.0)

    title: ClassVar[str] = tr("log-normal in ς")
    summary: ClassVar[str] = tr(
        "levels at which something can be learned: neither near the image nor near noise."
    )
    formula: ClassVar[str] = r"\ln\varsigma_t \sim \mathcal{N}(P_{mean}, P_{std}^2)"
    source: ClassVar[str] = "EDM §5, table 1"

    @classmethod
    def for_side(cls, side: int) -> LogNormalDensity:
        """For images so many pixels wide. Twice the side averages noise over four times the pixels, so the
        same shapes are hidden by twice the level.
        """
        return cls(mean=round(math.log(side / 8) - 0.9, 3), std=1.0, floor=0.1)

    def probabilities(self, tables: Tables, mean_square: Tensor | None = None) -> Tensor:
        """Each t has what lies between the middles to its neighbours, in ln ς."""
        levels = tables.noise_level[1:].log()
        middles = (levels[1:] + levels[:-1]) / 2
        ends = 2 * levels[:1] - middles[:1], 2 * levels[-1:] - middles[-1:]
        edges = (torch.cat([ends[0], middles, ends[1]]) - self.mean) / self.std
        share = torch.special.ndtr(edges).diff()
        if not float(share.sum()) > 1e-6:
            if self.floor:
                return _uniform(tables.steps)
            low, high = math.exp(float(levels[0])), math.exp(float(levels[-1]))
            raise Refused(
                tr(
                    "The levels of this schedule lie between ς = {low:.3g} and {high:.3g}, where this "
                    "log-normal density has nothing.",
                    low=low,
                    high=high,
                )
            )
        found: Tensor = (1 - self.floor) * share / share.sum() + self.floor / tables.steps
        return found


class CurveDensity(TimeDensity):
    kind: Literal["curve"] = "curve"
    points: tuple[float, ...] = knob(
        (1.0, 1.0, 1.0, 1.0, 1.0), title=tr("points"), symbol="p",
        help=tr("Heights of the density at evenly spaced t from 1 to T, joined by straight lines; their size "
                "does not matter, only their ratios."),
        source=tr("drawn by hand"),
    )  # fmt: skip
    unbiased: bool = knob(
        False, title=tr("keep the sum"),
        help=tr("Divide each loss by its density, so that only the variance changes, not what is minimised."),
        source="iDDPM eq. 18",
    )  # fmt: skip

    title: ClassVar[str] = tr("by hand")
    summary: ClassVar[str] = tr("any curve: drag its points.")
    formula: ClassVar[str] = r"p_t \propto \text{" + tr("your curve") + "}"
    source: ClassVar[str] = tr("drawn by hand")

    @field_validator("points")
    @classmethod
    def _usable(cls, points: tuple[float, ...]) -> tuple[float, ...]:
        return check_curve(points, tr("density"))

    @property
    def corrects(self) -> bool:
        return self.unbiased

    def probabilities(self, tables: Tables, mean_square: Tensor | None = None) -> Tensor:
        heights = curve_values(self.points, tables.steps)
        total = heights.sum()
        if not total > 0:
            raise Refused(tr("The density of t is 0 at every t; raise a point of its curve."))
        values: Tensor = heights / total
        if self.unbiased:  # a loss that is divided by 0 would be infinite
            values = 0.999 * values + 0.001 / tables.steps
        return values


class LossHistory:
    """The last losses of each t, on the device, as iDDPM's sampler keeps them.

    Args:
        steps: T.
        length: how many losses of each t are remembered (10 in iDDPM).
    """

    def __init__(self, steps: int, length: int = 10, device: torch.device | str = "cpu") -> None:
        self.length = length
        self.losses = torch.zeros(steps, length, device=device)
        self.count = torch.zeros(steps, dtype=torch.int64, device=device)

    def add(self, t: Tensor, losses: Tensor) -> None:
        """Remembers losses (B,) at times t (B,), 1 … T, in their order; nothing is read from the device."""
        index, order = torch.sort(t - 1, stable=True)
        values = losses.detach().float()[order]
        place = torch.arange(len(index), device=index.device)
        first = torch.searchsorted(index, index)  # where the run of equal times begins
        last = torch.searchsorted(index, index, right=True)
        slot = (self.count[index] + place - first) % self.length
        kept = (last - place <= self.length) & torch.isfinite(values)
        old = self.losses[index, slot]
        self._put(index, slot, torch.where(kept, values, old), last - place <= self.length)
        self.count = self.count.index_add(0, index, torch.ones_like(index))

    def _put(self, index: Tensor, slot: Tensor, values: Tensor, kept: Tensor) -> None:
        """Writes the kept values; the others go to a row that is thrown away."""
        steps = len(self.losses)
        wider = torch.cat([self.losses, self.losses.new_zeros(1, self.length)])
        wider[torch.where(kept, index, steps), slot] = values
        self.losses = wider[:steps]

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Goes on from `losses` and `count`; those of another T are ignored."""
        if tensors["losses"].shape == self.losses.shape:
            self.losses = tensors["losses"].to(self.losses.device)
            self.count = tensors["count"].to(self.count.device)

    def mean_square(self) -> Tensor:
        """E[L_t²]; the same for every t until each has been seen `length` times. (T,)"""
        full = (self.count >= self.length).all()
        square = self.losses.to(finest(self.losses.device)).square().mean(1)
        return torch.where(full, square, torch.ones_like(square))


AnyTimeDensity = Annotated[TimeDensity, OneOf()]

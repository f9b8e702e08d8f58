"""τ: which of the T times a reverse chain visits. One class per spacing."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from diffusion_studio.core.describe import Member, OneOf, knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr


class Spacing(Member):
    """A rule that picks the times of a reverse chain."""

    family: ClassVar[str] = tr("Visited times")
    begins_at_noise: ClassVar[bool] = True  # whether the first time is T, whatever S

    def times(self, tables: Tables, count: int) -> tuple[int, ...]:
        """The visited times, from noise to image.

        Args:
            tables: the forward process, with its T.
            count: S, the number of steps, 1 … T.

        Returns:
            S + 1 strictly decreasing times that end in 0.

        Raises:
            Refused: more steps than times.
        """
        total = tables.steps
        if not 1 <= count <= total:
            raise Refused(
                tr(
                    "The number of steps must lie between 1 and T = {total}; got {count}.",
                    total=total,
                    count=count,
                )
            )
        return (*_strictly_decreasing(self._positions(tables, count), total), 0)

    def _positions(self, tables: Tables, count: int) -> list[float]:
        """S real times, from the largest to the smallest; `times` rounds them."""
        raise NotImplementedError


def _strictly_decreasing(positions: list[float], total: int) -> list[int]:
    """Rounds to integers, moving neighbours apart where they would fall together."""
    times: list[int] = []
    for i, position in enumerate(positions):
        smallest = len(positions) - i  # leaves room for the times still to come
        largest = times[-1] - 1 if times else total
        times.append(min(max(round(position), smallest), largest))
    return times


def halved(times: tuple[int, ...]) -> tuple[int, ...]:
    """The same times, and between the smallest of them and 0 its halves, down to 1.

    On the way up from an image the first step needs a state whose x̂_0 is that image. At noise that can be
    seen there is none, since the network takes away what it holds for noise in the picture; the less
    noise, the nearer one comes (figures: benchmarks/RESULTS.md, "Carried to noise and back").

    Args:
        times: strictly decreasing, ending in 0, as `Spacing.times` gives them.
    """
    *visited, image = times
    while visited[-1] > 1:
        visited.append(visited[-1] // 2)
    return (*visited, image)


class TrailingSpacing(Spacing):
    kind: Literal["trailing"] = "trailing"
    title: ClassVar[str] = tr("trailing")
    summary: ClassVar[str] = tr("even steps that always begin at T; the sound choice for few steps.")
    formula: ClassVar[str] = r"\tau_i = \mathrm{round}(i\,T/S)"
    source: ClassVar[str] = "Lin et al. 2024, table 2"

    def _positions(self, tables: Tables, count: int) -> list[float]:
        total = tables.steps
        return [total - i * total / count for i in range(count)]


class LeadingSpacing(Spacing):
    kind: Literal["leading"] = "leading"
    begins_at_noise: ClassVar[bool] = False
    title: ClassVar[str] = tr("leading")
    summary: ClassVar[str] = tr("even steps that end at t = 1 and begin below T, as in the first DDIM code.")
    formula: ClassVar[str] = r"\tau_i = 1 + (i-1)\lfloor T/S \rfloor"
    source: ClassVar[str] = "Lin et al. 2024, table 2"

    def _positions(self, tables: Tables, count: int) -> list[float]:
        return [1 + i * (tables.steps // count) for i in reversed(range(count))]


class LinspaceSpacing(Spacing):
    kind: Literal["linspace"] = "linspace"
    title: ClassVar[str] = tr("linspace")
    summary: ClassVar[str] = tr("even steps from T down to t = 1, both included.")
    formula: ClassVar[str] = r"\tau_i = 1 + \frac{i-1}{S-1}(T-1)"
    source: ClassVar[str] = "Lin et al. 2024, table 2"

    def _positions(self, tables: Tables, count: int) -> list[float]:
        if count == 1:
            return [tables.steps]
        even = np.linspace(
            0, tables.steps - 1, count
        ).round()  # before 1 is added: halves fall as in diffusers
        found: list[float] = (1 + even[::-1]).tolist()
        return found


class QuadraticSpacing(Spacing):
    kind: Literal["quadratic"] = "quadratic"
    title: ClassVar[str] = tr("quadratic")
    summary: ClassVar[str] = tr(
        "more steps near the image, where details form; from T on, where DDIM's code begins at 0.8 T."
    )
    formula: ClassVar[str] = r"\tau_i = \mathrm{round}(T\,(i/S)^2)"
    source: ClassVar[str] = "DDIM appendix D.2"

    def _positions(self, tables: Tables, count: int) -> list[float]:
        return [tables.steps * (i / count) ** 2 for i in range(count, 0, -1)]


class LogSNRSpacing(Spacing):
    kind: Literal["log_snr"] = "log_snr"
    title: ClassVar[str] = tr("uniform in log SNR")
    summary: ClassVar[str] = tr(
        "every step raises the log SNR by as much, where the schedule is fine enough."
    )
    formula: ClassVar[str] = r"\ln \mathrm{SNR}(\tau_i) \;\text{" + tr("evenly spaced") + "}"
    source: ClassVar[str] = "DPM-Solver §3.4"

    def _positions(self, tables: Tables, count: int) -> list[float]:
        values = -tables.log_snr[1:].numpy()  # rises with t
        return _where(values, np.linspace(values[-1], values[0], count))


class KarrasSpacing(Spacing):
    kind: Literal["karras"] = "karras"
    rho: float = knob(
        7.0, title=tr("bend"), symbol="ρ", ge=1, le=20,
        help=tr("1 spaces the noise levels ς evenly; the larger it is, the more steps lie at low noise."),
        source="EDM eq. 5",
    )  # fmt: skip
    title: ClassVar[str] = "Karras"
    summary: ClassVar[str] = tr("even steps in ς^(1/ρ): fine near the image, coarse near the noise.")
    formula: ClassVar[str] = (
        r"\varsigma_i = (\varsigma_{\mathrm{max}}^{1/\rho} + \frac{i}{S-1}"
        r"(\varsigma_{\mathrm{min}}^{1/\rho} - \varsigma_{\mathrm{max}}^{1/\rho}))^{\rho}"
    )
    source: ClassVar[str] = "EDM eq. 5"

    def _positions(self, tables: Tables, count: int) -> list[float]:
        values = tables.noise_level[1:].numpy() ** (1 / self.rho)
        return _where(values, np.linspace(values[-1], values[0], count))


class SectionsSpacing(Spacing):
    kind: Literal["sections"] = "sections"
    begins_at_noise: ClassVar[bool] = False  # the only time of a section is its first
    shares: tuple[int, ...] = knob(
        (10, 15, 20), title=tr("sections"), symbol="S_j",
        help=tr("So many steps in each of as many equal sections of 0 … T, the one at the image first; with "
                "another S, so large a share of it."),
        source="iDDPM code",
    )  # fmt: skip
    title: ClassVar[str] = tr("by sections")
    summary: ClassVar[str] = tr("0 … T in equal sections, each with a number of even steps of its own.")
    formula: ClassVar[str] = (
        r"\tau = \bigcup_j \{a_j + \mathrm{round}(i\,\frac{L_j-1}{S_j-1})\}_{i=0}^{S_j-1}"
    )
    symbols: ClassVar[str] = tr("a_j the first time of section j, L_j how many it has")
    source: ClassVar[str] = "iDDPM code"

    @field_validator("shares")
    @classmethod
    def _counts(cls, shares: tuple[int, ...]) -> tuple[int, ...]:
        if not shares or min(shares) < 1:
            raise Refused(tr("each section needs a share of the steps, a whole number above 0"))
        return shares

    def _positions(self, tables: Tables, count: int) -> list[float]:
        size, more = divmod(tables.steps, len(self.shares))
        lengths = [size + (part < more) for part in range(len(self.shares))]
        times: list[float] = []
        first = 1
        for steps, length in zip(_apportioned(count, self.shares, lengths), lengths, strict=True):
            stride, along = (length - 1) / (steps - 1) if steps > 1 else 1.0, 0.0
            for _ in range(steps):
                times.append(first + round(along))
                along += stride
            first += length
        return times[::-1]


def _apportioned(count: int, shares: tuple[int, ...], most: list[int]) -> list[int]:
    """`count` things in the proportion of the shares, but of each share only so many."""
    found = [0] * len(shares)
    for _ in range(count):
        owed = [
            count * share / sum(shares) - have if have < limit else -math.inf
            for share, have, limit in zip(shares, found, most, strict=True)
        ]
        found[owed.index(max(owed))] += 1
    return found


def _where(values: NDArray[np.float64], wanted: NDArray[np.float64]) -> list[float]:
    """The real times 1 … T at which a rising quantity (T,) takes the wanted values."""
    found: list[float] = np.interp(wanted, values, np.arange(1, len(values) + 1)).tolist()
    return found


class ExplicitSpacing(Spacing):
    kind: Literal["explicit"] = "explicit"
    is_given: ClassVar[bool] = True
    values: tuple[int, ...] = knob(
        (), title=tr("times"), symbol="τ",
        help=tr("The times that the chain visits, increasing; 0 may be left out."),
        source="Stratos §3.3",
    )  # fmt: skip
    title: ClassVar[str] = tr("explicit")
    summary: ClassVar[str] = tr("a list of times.")
    formula: ClassVar[str] = r"0 = \tau_0 < \tau_1 < \dots < \tau_S \leq T"
    source: ClassVar[str] = "Stratos §3.3"

    @field_validator("values")
    @classmethod
    def _increasing(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        inner = values[1:] if values[:1] == (0,) else values
        if any(a >= b for a, b in zip((0, *inner), inner, strict=False)):
            raise Refused(tr("the times must increase and lie above 0"))
        return inner

    def times(self, tables: Tables, count: int = 0) -> tuple[int, ...]:
        total = tables.steps
        if not self.values:
            raise Refused(tr("The list of times is empty."))
        if self.values[-1] > total:
            raise Refused(tr("The time {time} lies beyond T = {total}.", time=self.values[-1], total=total))
        return (*reversed(self.values), 0)


AnySpacing = Annotated[Spacing, OneOf()]

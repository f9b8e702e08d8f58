"""How an error of the prediction counts, on the axis of ε. One class per loss."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from diffusion_studio.core.describe import Member, OneOf, knob
from diffusion_studio.core.words import tr, trc


class Loss(Member):
    """A loss of single errors. Concrete losses give `of`."""

    family: ClassVar[str] = tr("Losses")
    is_squared: ClassVar[bool] = False  # the bound knows no other
    brackets: ClassVar[tuple[str, str]] = (r"\rho(", ")")  # what stands around an error, LaTeX

    def of(self, difference: Tensor) -> Tensor:
        """The loss of each element of ε − ε̂. (B, …) → (B, …)"""
        raise NotImplementedError


class L2Loss(Loss):
    kind: Literal["l2"] = "l2"
    is_squared: ClassVar[bool] = True
    brackets: ClassVar[tuple[str, str]] = (r"\|", r"\|^2")

    title: ClassVar[str] = tr("L2, squared")
    summary: ClassVar[str] = tr(
        "the square of the error; its best answer is the mean, which the theory needs."
    )
    formula: ClassVar[str] = r"\|\varepsilon-\hat\varepsilon\|^2"
    source: ClassVar[str] = "Ho et al. 2020, eq. 14"

    def of(self, difference: Tensor) -> Tensor:
        return difference.square()


class L1Loss(Loss):
    kind: Literal["l1"] = "l1"
    brackets: ClassVar[tuple[str, str]] = (r"\|", r"\|_1")

    title: ClassVar[str] = tr("L1, absolute")
    summary: ClassVar[str] = tr(
        "the size of the error; its best answer is the median, so it is no longer a bound."
    )
    formula: ClassVar[str] = r"\|\varepsilon-\hat\varepsilon\|_1"
    source: ClassVar[str] = "Chen et al. 2021, §3"

    def of(self, difference: Tensor) -> Tensor:
        return difference.abs()


class HuberLoss(Loss):
    kind: Literal["huber"] = "huber"
    delta: float = knob(
        1.0, title=tr("turning point"), symbol="δ", gt=0, le=10, scale="log",
        help=tr("Errors below it are squared, those above count in proportion."), source="Huber 1964",
    )  # fmt: skip

    title: ClassVar[str] = "Huber"
    summary: ClassVar[str] = tr("squared for small errors, absolute for large ones.")
    formula: ClassVar[str] = (
        r"e^2 \;\text{" + trc("in a formula", "or") + r"}\; 2\delta|e|-\delta^2 \;\text{"
        + trc("in a formula", "where") + r"}\; |e|>\delta"
    )  # fmt: skip
    source: ClassVar[str] = "Huber 1964"

    def of(self, difference: Tensor) -> Tensor:
        return 2 * torch.nn.functional.huber_loss(
            difference, torch.zeros_like(difference), reduction="none", delta=self.delta
        )


AnyLoss = Annotated[Loss, OneOf()]

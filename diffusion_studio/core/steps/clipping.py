"""What is done to x̂_0 that leaves the range of the data. One class per rule."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch

from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.describe import Member, OneOf, knob
from diffusion_studio.core.words import tr


def _rederive() -> bool:
    found: bool = knob(
        True, title=tr("derive ε̂ again"), symbol="ε̂", advanced=True,
        help=tr("Two conventions are in use. On: the noise estimate follows from the clipped image, so that "
                "x_t is still their sum (Ho et al. 2020; use_clipped_model_output in diffusers). Off: ε̂ "
                "stays what the network said (DDIM's code, and diffusers by default)."),
        formula=r"\hat\varepsilon = (x_t-\sqrt{\bar\alpha_t}\,\hat x_0)/\sqrt{1-\bar\alpha_t}",
        source="Ho et al. 2020, code",
    )  # fmt: skip
    return found


class Clipping(Member):
    """A rule for x̂_0."""

    family: ClassVar[str] = tr("Clipping")

    @property
    def keeps_eps(self) -> bool:
        """Whether ε̂ stays what the network said, so that it does not follow from x_t and x̂_0."""
        return False

    def __call__(self, prediction: Prediction) -> Prediction:
        raise NotImplementedError


class Unclipped(Clipping):
    kind: Literal["off"] = "off"
    title: ClassVar[str] = tr("off")
    summary: ClassVar[str] = tr("the estimate stays as the network gives it.")
    formula: ClassVar[str] = r"\hat x_0"
    source: ClassVar[str] = "Luo eq. 115"

    def __call__(self, prediction: Prediction) -> Prediction:
        return prediction


class Clip(Clipping):
    kind: Literal["clip"] = "clip"
    rederive: bool = _rederive()
    title: ClassVar[str] = tr("clip")
    summary: ClassVar[str] = tr("pixels of the estimate stay between −1 and 1.")
    formula: ClassVar[str] = r"\min(\max(\hat x_0, -1), 1)"
    source: ClassVar[str] = "Ho et al. 2020, code"

    @property
    def keeps_eps(self) -> bool:
        return not self.rederive

    def __call__(self, prediction: Prediction) -> Prediction:
        return prediction.with_x0(torch.clamp(prediction.x0_hat, -1, 1), self.rederive)


class DynamicThreshold(Clipping):
    kind: Literal["dynamic"] = "dynamic"
    share: float = knob(
        0.995, title=tr("share kept"), symbol="p", gt=0.5, le=1,
        help=tr("Each image is clipped at this quantile of its own |x̂_0|, if above 1, and divided by it."),
        formula=r"s = \max(1, q_p(|\hat x_0|))", source="Saharia et al. 2022, §2.3",
    )  # fmt: skip
    rederive: bool = _rederive()
    title: ClassVar[str] = tr("dynamic threshold")
    summary: ClassVar[str] = tr("bright pixels push the rest down instead of being cut; for strong guidance.")
    formula: ClassVar[str] = r"\min(\max(\hat x_0, -s), s)/s, \quad s = \max(1, q_p(|\hat x_0|))"
    symbols: ClassVar[str] = tr("q_p the quantile p of each image; s is no time here")
    source: ClassVar[str] = "Saharia et al. 2022, §2.3"

    @property
    def keeps_eps(self) -> bool:
        return not self.rederive

    def __call__(self, prediction: Prediction) -> Prediction:
        x0_hat = prediction.x0_hat
        exact = torch.promote_types(x0_hat.dtype, torch.float32)  # quantiles know nothing smaller
        sizes = torch.quantile(x0_hat.abs().reshape(len(x0_hat), -1).to(exact), self.share, dim=1).clamp(
            min=1
        )
        limit = sizes.to(x0_hat).view(-1, *[1] * (x0_hat.ndim - 1))
        return prediction.with_x0(torch.maximum(torch.minimum(x0_hat, limit), -limit) / limit, self.rederive)


def as_clipping(value: Any) -> Any:
    """Settings of an earlier release said true or false."""
    return {"kind": "clip" if value else "off"} if isinstance(value, bool) else value


AnyClipping = Annotated[Clipping, OneOf()]

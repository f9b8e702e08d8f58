"""What a decoder says of an image: the density p(x|z) around its output. One class per decoder."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import field_validator
from torch import Tensor

from diffusion_studio.core.describe import Member, OneOf, knob
from diffusion_studio.core.objective.elbo import discretised_log_likelihood, gaussian_nll
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import number, tr, trc

LEAST_VARIANCE = 1e-6  # an eighth of the width of a bin of 8 bits, squared
DARK = 0.0  # pixels above it are 1 when they are binarised


class Decoder(Member):
    """The density of an image given its code. Concrete ones give `log_density` and `image`."""

    family: ClassVar[str] = tr("Decoders")
    learns: ClassVar[bool] = False  # whether σ² is learned beside the network
    is_binary: ClassVar[bool] = False  # whether pixels are 0 or 1

    def log_density(self, x: Tensor, output: Tensor, log_variance: Tensor) -> Tensor:
        """ln p(x|z) in nats of continuous (or binarised) pixels.

        Args:
            x: pixels in [−1, 1]. (…, C, H, W)
            output: of the network.
            log_variance: ln σ² as it stands; a number.

        Returns:
            The sum over the pixels of each image. (…,)
        """
        raise NotImplementedError

    def log_mass(self, x: Tensor, output: Tensor, log_variance: Tensor) -> Tensor:
        """The same for pixels of 8 bits, each a bin of 256: what bits per dimension are counted in. (…,)"""
        raise NotImplementedError

    def image(self, output: Tensor) -> Tensor:
        """The mean of p(x|z), pixels in [−1, 1]."""
        raise NotImplementedError

    def log_variance(self) -> float:
        """ln σ² at the beginning."""
        return 0.0


class _Gaussian(Decoder):
    """Normal around the output."""

    variance: float = knob(
        0.05, title=tr("variance"), symbol="σ²", gt=0, le=10, scale="log",
        help=tr(
            "Of each pixel around the decoder's output. Small: images must come back exactly, and the KL "
            "grows. Large: latents whose eigenvalue lies below it collapse."
        ),
        source="Course eq. 1.3",
    )  # fmt: skip

    @field_validator("variance")
    @classmethod
    def _sensible(cls, value: float) -> float:
        if value < LEAST_VARIANCE:
            raise Refused(
                tr(
                    "A variance below {least} is far finer than the steps of pixels of 8 bits, and what is "
                    "minimised grows beyond all numbers",
                    least=number(LEAST_VARIANCE),
                )
            )
        return value

    def log_density(self, x: Tensor, output: Tensor, log_variance: Tensor) -> Tensor:
        return -gaussian_nll(x - output, log_variance.exp()).flatten(-3).sum(-1)

    def log_mass(self, x: Tensor, output: Tensor, log_variance: Tensor) -> Tensor:
        return discretised_log_likelihood(x, output, log_variance.exp()).flatten(-3).sum(-1)

    def image(self, output: Tensor) -> Tensor:
        return output.clamp(-1, 1)

    def log_variance(self) -> float:
        return float(torch.tensor(self.variance).log())


class GaussianDecoder(_Gaussian):
    kind: Literal["gaussian"] = "gaussian"

    title: ClassVar[str] = trc("decoder", "Gaussian")
    summary: ClassVar[str] = tr("pixels around the output, all with the variance that is given.")
    formula: ClassVar[str] = r"p(x|z) = \mathcal{N}(\mu_\theta(z),\,\sigma^2 I)"
    source: ClassVar[str] = "Course eq. 1.3"


class LearnedGaussianDecoder(_Gaussian):
    kind: Literal["learned"] = "learned"
    learns: ClassVar[bool] = True

    title: ClassVar[str] = tr("learned σ²")
    summary: ClassVar[str] = tr(
        "the same; σ² begins at the value that is given and goes to the mean squared error."
    )
    formula: ClassVar[str] = r"p(x|z) = \mathcal{N}(\mu_\theta(z),\,\sigma_\theta^2 I)"
    source: ClassVar[str] = "Course eq. 1.4"


class BernoulliDecoder(Decoder):
    kind: Literal["bernoulli"] = "bernoulli"
    is_binary: ClassVar[bool] = True

    title: ClassVar[str] = tr("Bernoulli")
    summary: ClassVar[str] = tr("each pixel is black or white; grey images are binarised at their middle.")
    formula: ClassVar[str] = r"\ln p(x|z) = \sum_i x_i\ln\pi_i + (1-x_i)\ln(1-\pi_i)"
    source: ClassVar[str] = "Course remark 1.8"

    def log_density(self, x: Tensor, output: Tensor, log_variance: Tensor) -> Tensor:
        bits = (x > DARK).to(output.dtype).expand_as(output)
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(output, bits, reduction="none")
        return -entropy.flatten(-3).sum(-1)

    def log_mass(self, x: Tensor, output: Tensor, log_variance: Tensor) -> Tensor:
        return self.log_density(x, output, log_variance)

    def image(self, output: Tensor) -> Tensor:
        return 2 * output.sigmoid() - 1


AnyDecoder = Annotated[Decoder, OneOf()]

"""Where a reverse chain begins: at noise, or at images that a person brought. One class per way."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import torch
from torch import Tensor

from diffusion_studio.core.describe import Member, OneOf, knob
from diffusion_studio.core.process.tables import diffuse
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.steps.inversion import InversionStep, slerp
from diffusion_studio.core.words import tr
from diffusion_studio.engine.chains.first_state import images_of, inverted

if TYPE_CHECKING:
    from diffusion_studio.engine.chains.chain import Chain


def _images(help: str) -> tuple[str, ...]:
    found: tuple[str, ...] = knob((), title=tr("images"), help=help)
    return found


def _rounds() -> int:
    found: int = knob(
        1, title=tr("further calls"), ge=0, le=20, advanced=True,
        help=tr("Calls of the network in each step up, beyond the first, that make it the exact inverse of "
             "DDIM's step down. With one the image comes back within a grey level, with none within a few."),
        source="Pan et al. 2023",
    )  # fmt: skip
    return found


def _height() -> float:
    found: float = knob(
        0.95, title=tr("carried up to"), symbol="t/T", gt=0, le=1,
        help=tr("How far up the image is carried. At T hardly anything of it is left, and the way back "
                "divides by √ᾱ: every error of the network grows with it."),
    )  # fmt: skip
    return found


class Start(Member):
    """A rule for the first state of the chain."""

    family: ClassVar[str] = tr("First states")
    is_inverted: ClassVar[bool] = False  # whether images are carried up to their noise, step by step

    @property
    def height(self) -> float:
        """Where chains begin: t as a share of T; 1 leaves it to the spacing."""
        return 1.0

    @property
    def files(self) -> tuple[str, ...]:
        """The image files that it needs."""
        return ()

    def check(self) -> None:
        """Raises Refused, with a sentence, when something that it needs was not given."""

    def first(self, chain: Chain) -> Generator[InversionStep, None, Tensor]:
        """The state at the first of the chain's times (n, C, H, W); yields an inversion's steps on the way.

        Raises:
            Refused: an image that cannot be read.
        """
        raise NotImplementedError


class NoiseStart(Start):
    kind: Literal["noise"] = "noise"
    title: ClassVar[str] = tr("noise")
    summary: ClassVar[str] = tr("every chain begins at its own noise.")
    formula: ClassVar[str] = r"x_T \sim \mathcal N(0, I)"
    source: ClassVar[str] = "Stratos §2.4; Luo eq. 33; Course algorithm 3"

    def first(self, chain: Chain) -> Generator[InversionStep, None, Tensor]:
        yield from ()
        return chain.noise.start(chain.shape)


class ImageStart(Start):
    """One that begins at images, somewhere below T."""

    is_given: ClassVar[bool] = True
    images: tuple[str, ...] = ()
    share: float = 1.0

    @property
    def height(self) -> float:
        return self.share

    @property
    def files(self) -> tuple[str, ...]:
        return self.images

    def check(self) -> None:
        if not self.images:
            raise Refused(tr("Choose an image first: the chain is to begin at one."))


class NoisedStart(ImageStart):
    kind: Literal["noised"] = "noised"
    images: tuple[str, ...] = _images(tr("The images that are noised."))
    share: float = knob(
        0.5, title=tr("noised to"), symbol="t/T", gt=0, le=1,
        help=tr("How far the images are noised before they are denoised again; 1 leaves nothing of them."),
    )  # fmt: skip
    title: ClassVar[str] = tr("image, noised")
    summary: ClassVar[str] = tr("an image is noised to t and denoised again: how much of it survives?")
    formula: ClassVar[str] = r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon"
    source: ClassVar[str] = "Stratos eq. 8; Meng et al. 2022"

    def first(self, chain: Chain) -> Generator[InversionStep, None, Tensor]:
        yield from ()
        level = chain.source.tables.alpha_bar_at(chain.times[0])
        return diffuse(images_of(chain, chain.spec.count), chain.noise.start(chain.shape), level)


class InvertedStart(ImageStart):
    kind: Literal["inverted"] = "inverted"
    is_inverted: ClassVar[bool] = True
    images: tuple[str, ...] = _images(tr("The images that are carried to their noise."))
    share: float = _height()
    rounds: int = _rounds()
    title: ClassVar[str] = tr("image, inverted")
    summary: ClassVar[str] = tr(
        "DDIM run upwards finds the noise that an image comes from. The network is asked at s, where a step "
        "begins; diffusers' DDIMInverseScheduler asks it at t. Below the smallest τ its halves are visited "
        "too, down to t = 1: without them no state has an x̂₀ that is the whole picture."
    )
    formula: ClassVar[str] = (
        r"x_t = \sqrt{\bar\alpha_t}\,\hat x_0(x_s) + \sqrt{1-\bar\alpha_t}\,\hat\varepsilon(x_s)"
    )
    source: ClassVar[str] = "DDIM §4.3"

    def first(self, chain: Chain) -> Generator[InversionStep, None, Tensor]:
        return (yield from inverted(chain, images_of(chain, chain.spec.count), self.rounds))


class InterpolatedStart(ImageStart):
    kind: Literal["interpolated"] = "interpolated"
    is_inverted: ClassVar[bool] = True
    images: tuple[str, ...] = _images(tr("Two images; the chains begin between their noises."))
    share: float = _height()
    rounds: int = _rounds()
    title: ClassVar[str] = tr("two images")
    summary: ClassVar[str] = tr("two images are inverted; the chains begin on the arc between their noises.")
    formula: ClassVar[str] = (
        r"x_T = \frac{\sin((1-u)\theta)}{\sin\theta}x^{(1)} + \frac{\sin(u\theta)}{\sin\theta}x^{(2)}"
    )
    source: ClassVar[str] = "DDIM §5.3"

    def check(self) -> None:
        super().check()
        if len(self.images) != 2:
            raise Refused(tr("Choose two images to go from one to the other."))

    def first(self, chain: Chain) -> Generator[InversionStep, None, Tensor]:
        self.check()
        noise = yield from inverted(chain, images_of(chain, 2), self.rounds)
        shares = torch.linspace(0, 1, chain.spec.count).tolist()
        return torch.cat([slerp(noise[:1], noise[1:], share) for share in shares])


AnyStart = Annotated[Start, OneOf()]

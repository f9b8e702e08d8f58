"""Where a reverse chain begins: at noise, or at images that a person brought. One class per way."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from diffusion_studio.core.describe import Member, OneOf, knob


def _images(help: str) -> tuple[str, ...]:
    found: tuple[str, ...] = knob((), title="images", help=help)
    return found


def _rounds() -> int:
    found: int = knob(
        0, title="further calls", ge=0, le=20, advanced=True,
        help="Calls of the network in each step up, beyond the first, that make it the exact inverse of "
             "DDIM's step down.",
        source="Pan et al. 2023",
    )  # fmt: skip
    return found


def _height() -> float:
    found: float = knob(
        0.95, title="carried up to", symbol="t/T", gt=0, le=1,
        help="How far up the image is carried. At T hardly anything of it is left, and the way back divides "
             "by √ᾱ: every error of the network grows with it.",
    )  # fmt: skip
    return found


class Start(Member):
    """A rule for the first state of the chain."""

    family: ClassVar[str] = "First states"

    @property
    def height(self) -> float:
        """Where chains begin: t as a share of T; 1 leaves it to the spacing."""
        return 1.0

    @property
    def files(self) -> tuple[str, ...]:
        """The image files that it needs."""
        return ()


class NoiseStart(Start):
    kind: Literal["noise"] = "noise"
    title: ClassVar[str] = "noise"
    summary: ClassVar[str] = "every chain begins at its own noise."
    formula: ClassVar[str] = r"x_T \sim \mathcal N(0, I)"
    source: ClassVar[str] = "Stratos eq. 8"


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


class NoisedStart(ImageStart):
    kind: Literal["noised"] = "noised"
    images: tuple[str, ...] = _images("The images that are noised.")
    share: float = knob(
        0.5, title="noised to", symbol="t/T", gt=0, le=1,
        help="How far the images are noised before they are denoised again; 1 leaves nothing of them.",
    )  # fmt: skip
    title: ClassVar[str] = "image, noised"
    summary: ClassVar[str] = "an image is noised to t and denoised again: how much of it survives?"
    formula: ClassVar[str] = r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon"
    source: ClassVar[str] = "Stratos eq. 8; Meng et al. 2022"


class InvertedStart(ImageStart):
    kind: Literal["inverted"] = "inverted"
    images: tuple[str, ...] = _images("The images that are carried to their noise.")
    share: float = _height()
    rounds: int = _rounds()
    title: ClassVar[str] = "image, inverted"
    summary: ClassVar[str] = "DDIM run upwards finds the noise that an image comes from."
    formula: ClassVar[str] = (
        r"x_t = \sqrt{\bar\alpha_t/\bar\alpha_s}\,x_s"
        r" + \sqrt{\bar\alpha_t}\,(\varsigma_t-\varsigma_s)\,\hat\epsilon"
    )
    source: ClassVar[str] = "DDIM §4.3"


class InterpolatedStart(ImageStart):
    kind: Literal["interpolated"] = "interpolated"
    images: tuple[str, ...] = _images("Two images; the chains begin between their noises.")
    share: float = _height()
    rounds: int = _rounds()
    title: ClassVar[str] = "two images"
    summary: ClassVar[str] = "two images are inverted; the chains begin on the arc between their noises."
    formula: ClassVar[str] = (
        r"x_T = \frac{\sin((1-u)\theta)}{\sin\theta}x^{(1)} + \frac{\sin(u\theta)}{\sin\theta}x^{(2)}"
    )
    source: ClassVar[str] = "DDIM §5.3"


AnyStart = Annotated[Start, OneOf()]

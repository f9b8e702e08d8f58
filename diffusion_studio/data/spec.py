"""The description of a data set: where the images are and how they are brought to one shape."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from PIL import ImageColor
from pydantic import BeforeValidator, field_validator

from diffusion_studio.core.describe import Choice, knob
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr

DIGITS = "digits"

Fit = Literal["crop", "pad", "stretch"]


def is_path(text: str) -> bool:
    """Whether a file could have this name: neither NUL nor what no encoding has is in it."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _as_number(value: Any) -> Any:
    """A number written as text, as the command line hands it over."""
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


class DataSpec(Choice):
    """Which images to use, and the shape that all of them are brought to."""

    source: str = knob(
        DIGITS,
        title=tr("images"),
        help=tr(
            "A folder of images, or the word digits for the 1797 built-in handwritten digits "
            "(a folder of that name is written ./digits). Sub-folders become classes."
        ),
    )
    resolution: int = knob(
        0,
        title=tr("resolution"),
        multiple=4,
        words={0: tr("auto")},
        unit="px",
        help=tr(
            "Height and width of every image, a multiple of 4 from 4 to 512. "
            "0 takes the size that most of the pictures have, at most 64."
        ),
        ge=0,
        le=512,
    )
    channels: Annotated[Literal[0, 1, 3], BeforeValidator(_as_number)] = knob(
        0,
        title=tr("colours"),
        words={0: tr("auto"), 1: tr("grey"), 3: tr("colour")},
        help=tr("1 for grey, 3 for colour. 0 chooses: grey if every image is grey, otherwise colour."),
    )
    fit: Fit = knob(
        "crop",
        title=tr("fit"),
        words={"crop": tr("crop"), "pad": tr("pad"), "stretch": tr("stretch")},
        help=tr(
            "How an image that is not square becomes square: crop keeps the centre, "
            "pad adds background, stretch changes the proportions."
        ),
    )
    background: str = knob(
        "#ffffff",
        title=tr("background"),
        help=tr(
            "The colour behind transparent pixels and around padded images, as #rrggbb or a colour name."
        ),
    )
    flip: bool = knob(
        False,
        title=tr("random mirroring"),
        help=tr(
            "Mirror every image left to right with probability one half while training. "
            "Doubles the variety; wrong for digits and letters."
        ),
    )

    held_out: float = knob(
        0.0,
        title=tr("keep apart"),
        help=tr(
            "Share of the images that is never trained on, so that the bound can be measured on new ones."
        ),
        ge=0,
        le=0.5,
        advanced=True,
    )

    @field_validator("source")
    @classmethod
    def _named(cls, source: str) -> str:
        if not source.strip() or not is_path(source):
            raise Refused(tr("name a folder of images, or digits"))
        return source

    @field_validator("resolution")
    @classmethod
    def _multiple_of_four(cls, resolution: int) -> int:
        if resolution % 4:
            raise Refused(tr("the resolution should be a multiple of 4 from 4 to 512, or 0 to choose"))
        return resolution

    @field_validator("background")
    @classmethod
    def _colour(cls, background: str) -> str:
        """The colour as #rrggbb, so that two spellings of one colour are equal."""
        try:
            colour = ImageColor.getrgb(background.strip())
        except ValueError:
            raise Refused(tr("the background should be a colour like #ffffff or white")) from None
        if len(colour) != 3:
            raise Refused(tr("the background should be opaque, a colour like #ffffff"))
        return "#{:02x}{:02x}{:02x}".format(*colour)

    @property
    def background_rgb(self) -> tuple[int, int, int]:
        """The background as red, green and blue in 0..255."""
        red, green, blue = bytes.fromhex(self.background[1:])
        return red, green, blue

    @property
    def side(self) -> int:
        """Height and width in pixels; of a folder whose resolution is 0, before its pictures are known."""
        return self.resolution or (8 if self.source == DIGITS else 32)

"""The description of a data set: where the images are and how they are brought to one shape."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor
from pydantic import BeforeValidator, field_validator

from diffusion_studio.core.describe import Choice, knob
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import plural, tr

DIGITS = "digits"
LEAST, MOST = 4, 512  # pixels of a side
UNASKED = 64  # pixels of a side that is chosen without being asked for

Fit = Literal["crop", "pad", "stretch"]
_SQUARED: dict[Fit, str] = {
    "crop": tr("cut to squares"), "pad": tr("padded to squares"), "stretch": tr("stretched to squares"),
}  # fmt: skip
_SCALED = {  # (smaller, larger)
    (True, False): tr("made smaller"), (False, True): tr("made larger"),
    (True, True): tr("made smaller or larger"),
}  # fmt: skip


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
        words={0: tr("auto")},
        unit="px",
        help=tr(
            "Height and width of every image, from 4 to 512. 0 takes the size of the pictures themselves, "
            "but at most 64: larger ones take long, so ask for them. The network halves pictures several "
            "times; those that cannot be halved so often get a margin while it computes, which is cut off "
            "again and takes its time: 52 px take as long as 56, 60 as 64."
        ),
        ge=0,
        le=MOST,
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
    def _large_enough(cls, resolution: int) -> int:
        if 0 < resolution < LEAST:
            raise Refused(tr("the resolution should be from 4 to 512, or 0 to choose"))
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

    def side_of_most(self, sizes: NDArray[np.int32]) -> int:
        """The height and width at which the usual one of some pictures keeps its size, from 8 to 512.

        Args:
            sizes: width and height of each, (N, 2).
        """
        kept = np.sort(self._kept(sizes))
        return int(np.clip(kept[(len(kept) - 1) // 2], 2 * LEAST, MOST))

    def _kept(self, sizes: NDArray[np.int32]) -> NDArray[np.int32]:
        """The side of each picture that its square has where nothing is made smaller or larger. (N,)"""
        found: NDArray[np.int32] = sizes.max(1) if self.fit == "pad" else sizes.min(1)
        return found

    def told(self, sizes: NDArray[np.int32], side: int) -> str:
        """How pictures of these sizes become squares of this side, as a sentence; "" where all of them are.

        Args:
            sizes: width and height of each, (N, 2).
        """
        if bool((sizes == side).all()):
            return ""
        kinds, counts = np.unique(sizes, axis=0, return_counts=True)
        width, height = kinds[np.argmax(counts)].tolist()
        shape = {"width": width, "height": height, "side": side, "how": self._how(sizes, side)}
        if len(kinds) == 1:
            return tr("Pictures of {width}×{height} are learned at {side}×{side}: {how}.", **shape)
        return plural(
            "Pictures of {width}×{height} and of {n} other size are learned at {side}×{side}: {how}.",
            "Pictures of {width}×{height} and of {n} other sizes are learned at {side}×{side}: {how}.",
            len(kinds) - 1, **shape,
        )  # fmt: skip

    def _how(self, sizes: NDArray[np.int32], side: int) -> str:
        """ "cut to squares, made smaller"."""
        kept, found = self._kept(sizes), []
        if bool((sizes[:, 0] != sizes[:, 1]).any()):
            found.append(_SQUARED[self.fit])
        smaller, larger = bool((kept > side).any()), bool((kept < side).any())
        if smaller or larger:
            found.append(_SCALED[smaller, larger])
        return ", ".join(found)

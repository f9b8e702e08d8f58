"""Samples of any depth as a picture of eight bits: what is white, what is transparent, which way is up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion_studio.core.words import tr
from diffusion_studio.data.colours.profiles import shares_in_srgb
from diffusion_studio.data.colours.space import Space
from diffusion_studio.data.errors import BadImage

Shares = NDArray[np.floating[Any]]  # of full intensity, float32
Alpha = Literal["straight", "premultiplied"]
Colours = Literal[1, 3, 4]  # grey; red, green, blue; cyan, magenta, yellow, black

_OVERSHOOT = 0.05, 1.5  # floats this far beyond 0 … 1 are still of that range: sharpening leaves such rims

# The orientation tag of a camera (EXIF 0x0112) and what sets the picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, eq=False)
class Samples:
    """The numbers of a picture as its file holds them.

    Args:
        values: (H, W, S), S the colours and one more where there is an alpha channel, which is the last.
        colours: how many of the channels are colours.
        white: the value of full intensity; 0 for floats, whose range tells.
        alpha: what the alpha channel means; None where there is none.
        inverted: whether 0 is white (TIFF's WhiteIsZero).
        space: what the colours mean as light; None for sRGB, and where a profile says it.
        profile: by ICC, which says it; of CMYK it is left to `in_srgb`.
    """

    values: NDArray[Any]
    colours: Colours
    white: int
    alpha: Alpha | None = None
    inverted: bool = False
    space: Space | None = None
    profile: bytes | None = None

    def picture(self, background: tuple[int, int, int]) -> Image.Image:
        """Mode L, RGB or CMYK, on the background where it is transparent.

        Raises:
            BadImage: long numbers so small beside the largest ones that nothing would be seen.
        """
        self._check_seen()
        plain = self.alpha is None and not self.space and not self.profile and not self.inverted
        if plain and self.white == 65535:
            return _image(((self.values.astype(np.uint32) + 128) // 257).astype(np.uint8))
        unit = _unit(self.values, self.white)
        colour: Shares = unit[..., : self.colours]
        if self.inverted:
            colour = 1 - colour
        if self.space is not None:
            colour = self.space.in_srgb(colour)
        elif self.profile and self.colours != 4:
            colour = shares_in_srgb(colour, self.profile)
        if self.alpha is not None:
            colour = self._composite(colour, unit[..., self.colours :], background)
        return _image(np.rint(np.clip(colour, 0, 1) * 255).astype(np.uint8))

    def _check_seen(self) -> None:
        """Raises BadImage for long numbers that are too small beside the largest ones to be seen."""
        if self.white <= 65535:
            return
        most = self.values[..., : self.colours].max()
        if 0 < most < self.white / 510:
            raise BadImage(
                tr(
                    "Its largest number is {most} of {white}, so nothing would be seen; save it with 8 or 16 "
                    "bits.",
                    most=most,
                    white=self.white,
                )
            )

    def _composite(self, colour: Shares, opacity: Shares, background: tuple[int, int, int]) -> Shares:
        """(H, W, 3)"""
        if self.colours == 4:
            raise BadImage(tr("It is a CMYK picture with transparency, a kind that is not read."))
        below = np.array(background, np.float32) / 255
        seen = colour * opacity if self.alpha == "straight" else colour
        found: Shares = seen + (1 - np.clip(opacity, 0, 1)) * below
        return found


def _unit(values: NDArray[Any], white: int) -> Shares:
    """The values as shares of full intensity.

    Raises:
        BadImage: floats whose range says nothing about what is white.
    """
    if values.dtype.kind != "f":
        shares: Shares = (values / white).astype(np.float32)
        return shares
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():  # one NaN makes both of them NaN
        raise BadImage(tr("The picture holds values that are not finite numbers."))
    least, most = _OVERSHOOT
    if low >= -least and high <= most:
        clipped: Shares = np.clip(values, 0, 1).astype(np.float32)
        return clipped
    if low >= 0 and high <= 255:
        as_bytes: Shares = (values / 255).astype(np.float32)
        return as_bytes
    raise BadImage(
        tr(
            "Its values are floating-point numbers from {low:.4g} to {high:.4g}; only 0 to 1 or 0 to 255 "
            "say what is black and what is white.",
            low=low,
            high=high,
        )
    )


def _image(values: NDArray[np.uint8]) -> Image.Image:
    """(H, W, 1, 3 or 4) → L, RGB, CMYK"""
    if values.shape[2] == 4:
        height, width = values.shape[:2]
        return Image.frombytes("CMYK", (width, height), np.ascontiguousarray(values).tobytes())
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)


def upright(image: Image.Image, orientation: object) -> Image.Image:
    """The picture turned as the orientation tag says; a tag that makes no sense turns nothing."""
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)

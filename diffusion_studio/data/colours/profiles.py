"""Colours by the ICC profile of a picture, brought to sRGB."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_ALIKE = 2  # levels of 255 by which the tables of sRGB profiles differ

Shares = NDArray[np.floating[Any]]  # of full intensity


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture's colours by its ICC profile, in sRGB; unchanged where the profile cannot be read.

    A picture of one channel stays one.
    """
    if not profile or image.mode not in ("L", "RGB", "RGBA", "CMYK"):
        return image
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _is_srgb(profile):
            return image
        if image.mode == "L":
            return image.point(_levels(given))
        converted = ImageCms.profileToProfile(_opaque(image), given, _srgb(), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    if converted is None:  # only when asked to work in place
        return image
    if image.mode == "RGBA":
        converted.putalpha(image.getchannel("A"))
    return converted


def _levels(profile: ImageCms.ImageCmsProfile) -> list[int]:
    """What each of the 256 levels of a grey picture is in sRGB; a faster way errs where it is dark."""
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    found = ImageCms.profileToProfile(
        ramp, profile, _srgb(), outputMode="RGB", flags=ImageCms.Flags.NOOPTIMIZE
    )
    assert found is not None  # None only with inPlace
    levels: list[int] = np.asarray(found)[0, :, 0].tolist()
    return levels


def _opaque(image: Image.Image) -> Image.Image:
    return image.convert("RGB") if image.mode == "RGBA" else image


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def shares_in_srgb(colour: Shares, profile: bytes) -> Shares:
    """In sRGB, at sixteen bits; unchanged where the profile cannot be read. (H, W, 1 or 3) → the same"""
    kind = "gray" if colour.shape[2] == 1 else "rgb"
    values = np.rint(np.clip(colour, 0, 1) * 65535).astype(np.uint16)
    try:
        if _is_srgb(profile):
            return colour
        found = imagecodecs.cms_transform(
            values[..., 0] if kind == "gray" else values, profile, _srgb().tobytes(), colorspace=kind,
            outcolorspace="rgb", outdtype=np.uint16, flags=int(ImageCms.Flags.NOOPTIMIZE),
        )  # fmt: skip
    except (ImageCms.PyCMSError, RuntimeError, OSError, ValueError, TypeError):
        return colour
    shares: Shares = (found[..., : colour.shape[2]] / 65535).astype(np.float32)
    return shares


@lru_cache(maxsize=16)
def _is_srgb(profile: bytes) -> bool:
    """By what it does to colours: names say “sRGB” of linear light and of other primaries too.

    Raises:
        PyCMSError: it cannot be used.
    """
    given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if given.profile.xcolor_space.strip() != "RGB":
        return False
    steps = np.array([0, 16, 64, 128, 192, 255], np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    found = ImageCms.profileToProfile(Image.fromarray(colours), given, _srgb(), outputMode="RGB")
    return bool(np.abs(np.asarray(found).astype(int) - colours).max() <= _ALIKE)

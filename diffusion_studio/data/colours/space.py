"""What the numbers of a picture mean as light, where a file says so without a profile; brought to sRGB.

PNG says it by gAMA, cHRM and cICP (PNG 3rd ed. §11.3.2), AVIF by the box colr/nclx; cICP and nclx by the
codes of ITU-T H.273.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.words import tr
from diffusion_studio.data.errors import BadImage

Shares = NDArray[np.floating[Any]]  # of full intensity
Primaries = tuple[float, ...]  # x and y of white, red, green, blue

_D65 = 0.3127, 0.3290
_SRGB: Primaries = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES: dict[int, Primaries] = {
    1: _SRGB,
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),  # BT.470 B/G
    6: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),  # BT.601
    7: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),  # BT.2020
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),  # DCI-P3
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),  # Display P3
}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_WITHOUT_WHITE = {16: "PQ", 18: "HLG"}  # light beyond white: it has no one picture in sRGB
_ALIKE = 0.05, 0.01  # how near gamma and primaries are those of sRGB
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True)
class Space:
    """A space of colours that is not sRGB.

    Args:
        gamma: light is the stored share to this power; 0 for the curve of sRGB.
        primaries: of red, green and blue.
    """

    gamma: float = 0.0
    primaries: Primaries = _SRGB

    def in_srgb(self, shares: Shares) -> Shares:
        """(H, W, 1 or 3) → the same, 0 … 1. A grey picture has no primaries."""
        shares = np.clip(shares, 0, 1)
        light = shares**self.gamma if self.gamma else _light(shares)
        if shares.shape[2] == 3 and self.primaries != _SRGB:
            light = np.clip(light @ (np.linalg.inv(_to_xyz(_SRGB)) @ _to_xyz(self.primaries)).T, 0, 1)
        found: Shares = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        return found


ADOBE_RGB = Space(2.19921875, (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06))
"""What cameras mean by the code R03 of DCF, without a profile."""


def _light(shares: Shares) -> Shares:
    """By the curve of sRGB (IEC 61966-2-1)."""
    found: Shares = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return found


def _to_xyz(primaries: Primaries) -> NDArray[np.float64]:
    """Linear red, green and blue to XYZ under D65. (3, 3)

    Raises:
        LinAlgError: three primaries on one line.
    """
    (white, *ends) = np.array(primaries).reshape(4, 2)
    columns = np.stack([_xyz(end) for end in ends], 1)
    columns = columns * np.linalg.solve(columns, _xyz(white))
    here, there = _BRADFORD @ _xyz(white), _BRADFORD @ _xyz(np.array(_D65))
    found: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ np.diag(there / here) @ _BRADFORD @ columns
    return found


def _xyz(place: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = map(float, place)
    return np.array([x / y, 1.0, (1 - x - y) / y])


def by_gamma(gamma: bytes, chromaticities: bytes) -> Space | None:
    """By gAMA and cHRM, the contents of PNG's chunks; None for sRGB, or where they make no sense."""
    if len(gamma) != 4 or not (number := struct.unpack(">I", gamma)[0]):
        return None
    share = number / 100_000
    power = 0.0 if abs(2.2 * share - 1) <= _ALIKE[0] else 1 / share
    primaries = _SRGB
    if len(chromaticities) == 32:
        primaries = tuple(value / 100_000 for value in struct.unpack(">8I", chromaticities))
    return _sensible(Space(power, primaries))


def by_codes(primaries: int, transfer: int, kind: str) -> Space | None:
    """By two codes of H.273; None for sRGB, and for what is not specified.

    Args:
        kind: of the picture, for a refusal.

    Raises:
        BadImage: a picture of light beyond white.
    """
    if transfer in _WITHOUT_WHITE:
        raise BadImage(
            tr(
                "It is {kind} of high dynamic range ({transfer}), a kind that is not read.",
                kind=kind,
                transfer=_WITHOUT_WHITE[transfer],
            )
        )
    return _sensible(Space(_GAMMAS.get(transfer, 0.0), _PRIMARIES.get(primaries, _SRGB)))


def _sensible(space: Space) -> Space | None:
    """Without primaries that are sRGB's, or none at all; None where it is sRGB then."""
    apart = np.abs(np.array(space.primaries) - _SRGB).max()
    try:
        fits = apart > _ALIKE[1] and bool(np.isfinite(_to_xyz(space.primaries)).all())
    except (np.linalg.LinAlgError, ZeroDivisionError):
        fits = False
    space = space if fits else Space(space.gamma)
    return None if space == Space() else space

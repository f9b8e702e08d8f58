"""The size that a folder's pictures have by themselves."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Iterator
from pathlib import Path

from diffusion_studio.data.formats import HEAD, format_of, opened
from diffusion_studio.data.scan import Listing

SMALLEST, LARGEST = 8, 64  # pixels that are chosen without being asked for
LOOKED_AT = 100  # pictures: their headers alone are read


def native_side(listing: Listing) -> int:
    """Height and width for a folder: the usual shorter side of its pictures, a multiple of 4.

    What is larger than 64 px is brought to 64. 32 where no header can be read.
    """
    sides = [*_sides(listing)]
    if not sides:
        return 32
    usual = int(statistics.median_low(sides))
    return min(max(usual // 4 * 4, SMALLEST), LARGEST)


def _sides(listing: Listing) -> Iterator[int]:
    """The shorter side of pictures that are spread over the folder."""
    names = listing.pictures
    for name in names[:: max(1, -(-len(names) // LOOKED_AT))]:
        side = _side(listing.root / name)
        if side:
            yield side


def _side(path: Path) -> int:
    """Of one picture; 0 where its header cannot be read: decoding will say why."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with path.open("rb") as file:
                return min(opened(format_of(file.read(HEAD)), file).size)
    except Exception:  # a damaged file makes the readers raise almost anything
        return 0

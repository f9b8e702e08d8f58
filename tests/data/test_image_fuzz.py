"""Whatever the bytes of a file are, the outcome is a picture or a sentence."""

from __future__ import annotations

import functools
import io
import re

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion_studio.data.decode import Frame, decode_file
from diffusion_studio.data.errors import BadImage
from support.image_folders import crops, png_chunk

FORMATS = ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "AVIF", "deep TIFF", "deep PNG")
FRAME = Frame(8, 3)
PYTHON = re.compile(r"[a-z][A-Z]\w|\w_\w|Error|<class|object at|\bNone\b|[\[\]{}]")  # no words for a person


@functools.cache
def sound(format: str) -> bytes:
    memory = io.BytesIO()
    image = next(crops(seed=5, low=24, high=24))
    if not format.startswith("deep"):
        image.save(memory, format)
        return memory.getvalue()
    values = np.asarray(image).astype(np.uint16) * 257
    if format == "deep PNG":
        return bytes(imagecodecs.png_encode(values))
    tifffile.imwrite(
        memory,
        np.moveaxis(values, 2, 0).copy(),
        photometric="rgb",
        planarconfig="separate",
        compression="lzw",
    )
    return memory.getvalue()


def outcome(data: bytes) -> None:
    try:
        picture = decode_file(io.BytesIO(data), FRAME)
    except BadImage as error:
        assert error.reason.strip() and error.reason.endswith(".")
        assert not PYTHON.search(error.reason), error.reason
    else:
        assert picture.pixels.shape == (8, 8, 3)
        assert picture.pixels.dtype == np.uint8


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=60, deadline=None)
@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=8),
    kept=st.floats(0, 1),
)
def test_that_damaged_files_raise_nothing_else(
    format: str, flips: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(sound(format))
    for place, change in flips:
        # Most of what a reader believes stands at the beginning: half of the changes are made there.
        size = len(data) if change % 2 else min(len(data), 64)
        data[int(place * size)] ^= change
    outcome(bytes(data))
    outcome(bytes(data[: int(kept * len(data))]))


@settings(max_examples=60, deadline=None)
@given(head=st.sampled_from([sound(f)[:12] for f in FORMATS] + [b"II+\0", b"MM\0*"]), rest=st.binary())
def test_that_arbitrary_bytes_after_a_known_beginning_raise_nothing_else(head: bytes, rest: bytes) -> None:
    outcome(head + rest)


@settings(max_examples=60, deadline=None)
@given(
    kinds=st.lists(
        st.tuples(
            st.sampled_from(
                [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"iCCP", b"zTXt", b"eXIf", b"acTL", b"fcTL"]
            ),
            st.binary(max_size=40),
        ),
        max_size=6,
    )
)
def test_that_wellformed_chunks_of_nonsense_raise_nothing_else(kinds: list[tuple[bytes, bytes]]) -> None:
    chunks = b"".join(png_chunk(kind, content) for kind, content in kinds)
    outcome(sound("PNG")[:33] + chunks + sound("PNG")[33:])
    outcome(sound("PNG")[:8] + chunks + png_chunk(b"IEND", b""))

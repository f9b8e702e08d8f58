"""A picture of which some rows are missing is refused: readers put black there without a word."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile

from diffusion_studio.data.decode import Frame, decode_file
from diffusion_studio.data.errors import BadImage
from support.image_folders import png_chunk

SIDE = 8
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
KINDS = [(1, 0), (16, 0), (4, 3), *((8, colour) for colour in SAMPLES), (16, 2), (16, 4), (16, 6)]
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def read(data: bytes) -> np.ndarray:
    return decode_file(io.BytesIO(data), Frame(SIDE, 1)).pixels[..., 0]


def reason(data: bytes) -> str:
    with pytest.raises(BadImage) as refused:
        read(data)
    return refused.value.reason


def rows(bits: int, colour: int, count: int = SIDE, width: int = SIDE) -> bytes:
    return (b"\0" + b"\xff" * (-(-width * bits * SAMPLES[colour] // 8))) * count


def png(packed: bytes, bits: int = 8, colour: int = 0, interlaced: bool = False, *before: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", SIDE, SIDE, bits, colour, 0, 0, interlaced)
    palette = png_chunk(b"PLTE", b"\xff" * 3 * 2 ** min(bits, 8)) if colour == 3 else b""
    pixels = b"".join(png_chunk(b"IDAT", packed[k : k + 7]) for k in range(0, len(packed), 7))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + palette + b"".join(before) + pixels


@pytest.mark.parametrize(("bits", "colour"), KINDS)
def test_that_a_png_with_too_few_rows_is_refused(bits: int, colour: int) -> None:
    end = png_chunk(b"IEND", b"")
    assert (read(png(zlib.compress(rows(bits, colour)), bits, colour) + end) == 255).all()
    for count in (0, 1, SIDE - 1):
        few = png(zlib.compress(rows(bits, colour, count)), bits, colour) + end
        assert reason(few) == "The picture is damaged: some of its rows are missing."


@pytest.mark.parametrize("missing", [0, 1, 2, 9, 20])
def test_that_an_interlaced_png_needs_all_its_passes(missing: int) -> None:
    passes = [(-(-(SIDE - x) // dx), -(-(SIDE - y) // dy)) for x, y, dx, dy in PASSES]
    whole = b"".join(rows(8, 0, height, width) for width, height in passes)
    data = png(zlib.compress(whole[: len(whole) - missing]), 8, 0, True) + png_chunk(b"IEND", b"")
    if missing:
        assert "rows are missing" in reason(data)
    else:
        assert (read(data) == 255).all()


@pytest.mark.parametrize("count", [SIDE, SIDE - 1])
@pytest.mark.parametrize("covered", [True, False])
def test_that_only_the_frame_that_is_shown_needs_its_rows(count: int, covered: bool) -> None:
    control = struct.pack(">IIIIIHHBB", 0, SIDE, SIDE, 0, 0, 1, 10, 0, 0)
    frame = png_chunk(b"fdAT", struct.pack(">I", 1) + zlib.compress(rows(8, 0, count)))
    start = [png_chunk(b"acTL", struct.pack(">II", 1 if covered else 2, 0))]
    if not covered:
        start.append(png_chunk(b"fcTL", control))
    data = png(zlib.compress(rows(8, 0)), 8, 0, False, *start) + png_chunk(b"fcTL", control) + frame
    data += png_chunk(b"IEND", b"")
    if covered and count < SIDE:
        assert "rows are missing" in reason(data)
    else:
        assert (read(data) == 255).all()


def strips(compression: str | None, dtype: str) -> tuple[bytearray, dict[int, tifffile.TiffTag]]:
    memory = io.BytesIO()
    values = np.full((SIDE, SIDE), np.iinfo(dtype).max, dtype)
    tifffile.imwrite(memory, values, rowsperstrip=2, compression=compression)
    with tifffile.TiffFile(io.BytesIO(memory.getvalue())) as opened:
        tags = {code: opened.pages.first.tags[code] for code in (273, 279)}
    return bytearray(memory.getvalue()), tags


@pytest.mark.parametrize("compression", [None, "deflate", "lzw", "packbits"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_that_a_tiff_without_one_of_its_strips_is_refused(compression: str | None, dtype: str) -> None:
    data, tags = strips(compression, dtype)
    assert (read(bytes(data)) == 255).all()
    size = {3: 2, 4: 4}[int(tags[273].dtype)]
    for place, words in ((0, "rows are missing"), (len(data), "cut off")):
        changed = data[:]
        start = tags[273].valueoffset + 3 * size
        changed[start : start + size] = place.to_bytes(size, "little")
        assert words in reason(bytes(changed))
    for tag in tags.values():  # three where there should be four
        data[tag.offset + 4 : tag.offset + 8] = (3).to_bytes(4, "little")
    assert "rows are missing" in reason(bytes(data))

"""Pictures in forms that readers take for others without a word: read rightly, refused by name, or told."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from diffusion_studio.data.decode import Frame, Picture, decode_file
from diffusion_studio.data.errors import BadImage
from diffusion_studio.data.load import load
from diffusion_studio.data.spec import DataSpec
from support.image_folders import crops, png_chunk
from support.profiles import SRGB, colour_profile

SIDE = 16
GREYS = np.array([[10, 80], [160, 250]], np.uint8).repeat(8, 0).repeat(8, 1)
COLOURS = np.dstack([GREYS, GREYS[::-1], GREYS.T])


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    memory = io.BytesIO()
    image.save(memory, format, **options)
    return memory.getvalue()


def tiff(*pages: tuple[np.ndarray, dict[str, Any]], **options: Any) -> bytes:
    memory = io.BytesIO()
    with tifffile.TiffWriter(memory, **options) as file:
        for values, settings in pages:
            file.write(values, **settings)
    return memory.getvalue()


def read(data: bytes, side: int = SIDE) -> Picture:
    return decode_file(io.BytesIO(data), Frame(side, 3))


def reason(data: bytes) -> str:
    with pytest.raises(BadImage) as refused:
        read(data)
    return refused.value.reason


# --- JPEG --------------------------------------------------------------------------------------------------


def photo(width: int = 96, height: int = 80) -> Image.Image:
    return next(crops(seed=5, low=96, high=96)).crop((0, 0, width, height))


@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_that_an_end_marker_before_the_last_pixel_is_noticed(share: float, subsampling: int) -> None:
    data = saved(photo(), "JPEG", quality=90, subsampling=subsampling)
    pixels = data.index(b"\xff\xda")
    cut = pixels + int(share * (len(data) - pixels))
    assert reason(data[:cut] + b"\xff\xd9") == "The file is cut off: its end is missing."


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("side", [5, 16, 96])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}], ids=str)
def test_that_a_whole_jpeg_that_ends_in_one_colour_is_read(mode: str, side: int, options: dict) -> None:
    image = photo().resize((96, 96)).convert("RGB")
    image.paste((255, 255, 255), (0, 40, 96, 96))
    data = saved(image.convert(mode).crop((0, 96 - side, side, 96)), "JPEG", quality=90, **options)
    for whole in (data, data + b"\0" * 40, data + data):
        assert read(whole).pixels[-1, -1].min() >= 250


def test_that_adobe_rgb_is_known_by_the_code_of_a_camera() -> None:
    image = Image.new("RGB", (SIDE, SIDE), (200, 100, 50))
    for code, expected in (("R03", (227, 100, 42)), ("R98", (200, 100, 50))):
        exif = Image.Exif()
        exif[0x8769] = {0xA001: 65535, 0xA005: {1: code}}
        data = saved(image, "JPEG", quality=100, exif=exif)
        np.testing.assert_allclose(read(data).pixels[0, 0], expected, atol=2)


# --- colours -----------------------------------------------------------------------------------------------

BT2020 = (0.67347, 0.27904, -0.00194), (0.16566, 0.67535, 0.02998), (0.12505, 0.04561, 0.79686)


def test_that_a_profile_counts_by_what_it_does_and_not_by_its_name() -> None:
    linear = colour_profile(SRGB, 1.0, "sRGB-elle-V4-g10.icc")
    grey = saved(Image.new("RGB", (SIDE, SIDE), (55, 55, 55)), "PNG", icc_profile=linear)
    assert abs(int(read(grey).pixels[0, 0, 0]) - 128) <= 1
    wide = colour_profile(BT2020, 2.2, "Rec2020-elle-V4-srgbtrc.icc")
    green = saved(Image.new("RGB", (SIDE, SIDE), (60, 200, 60)), "PNG", icc_profile=wide)
    assert read(green).pixels[0, 0].tolist() != [60, 200, 60]
    assert read(green).pixels[0, 0, 0] < 20


# --- BMP and PNG -------------------------------------------------------------------------------------------


def bmp(masks: tuple[int, ...], values: np.ndarray) -> bytes:
    """Four bytes a pixel, whose bits the masks share out."""
    head = struct.pack("<IiiHHIIiiII", 108, SIDE, -SIDE, 1, 32, 3, 4 * SIDE * SIDE, 2835, 2835, 0, 0)
    head = (head + struct.pack("<4I", *masks)).ljust(108, b"\0")
    start = 14 + len(head)
    pixels = values.astype("<u4").tobytes()
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + head + pixels


def test_that_a_fourth_byte_that_was_left_empty_hides_nothing() -> None:
    red, green, blue = (COLOURS[..., channel].astype(np.uint32) for channel in range(3))
    values = (red << 16) | (green << 8) | blue
    masks = 0xFF0000, 0xFF00, 0xFF, 0xFF000000
    assert np.array_equal(read(bmp(masks, values)).pixels, COLOURS)
    half = read(bmp(masks, values | (128 << 24))).pixels.astype(int)
    assert abs(half - (COLOURS * 128.0 + 255 * 127) / 255).max() <= 1


def test_that_a_rare_form_is_not_called_damaged() -> None:
    masks = 0x3FF00000, 0xFFC00, 0x3FF, 0
    assert reason(bmp(masks, GREYS)) == "It is of a rare form of its kind, which is not read."
    for number in (32803, 34892, 9):
        data = tiff((GREYS, {"photometric": "minisblack"}))
        place = data.index(struct.pack("<HHI", 262, 3, 1)) + 8
        named = reason(data[:place] + struct.pack("<H", number) + data[place + 2 :])
        assert named.startswith("It is a TIFF of 8-bit integers in ") and named.endswith("that is not read.")


def test_that_a_png_in_the_form_of_a_telephone_is_named() -> None:
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 6, 0, 0, 0)
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    rows = pack.compress(bytes(SIDE * (1 + 4 * SIDE))) + pack.flush()
    chunks = (b"CgBI", b"\x50\0\x20\2"), (b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")
    data = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)
    assert reason(data) == "It is a PNG in the form of iOS (CgBI), a kind that is not read."


# --- what is no picture, or another ------------------------------------------------------------------------

RAW_COLOURS = {"photometric": "minisblack", "subfiletype": 0}
PREVIEW = {"photometric": "minisblack", "subfiletype": 1}
RAW: dict[str, Callable[[], bytes]] = {
    "DNG": lambda: tiff((GREYS, {"extratags": [(50706, "B", 4, bytes([1, 4, 0, 0]), True)]})),
    "a preview and the picture inside": lambda: tiff(
        (GREYS[::4, ::4].copy(), PREVIEW | {"subifds": 1}), (GREYS.astype(np.uint16), RAW_COLOURS)
    ),
    "a preview and the picture behind": lambda: tiff(
        (GREYS[::4, ::4].copy(), PREVIEW), (GREYS.astype(np.uint16), RAW_COLOURS)
    ),
    "Canon": lambda: b"II*\0\x10\0\0\0CR\2\0" + bytes(200),
    "Fuji": lambda: b"FUJIFILMCCD-RAW 0201" + bytes(200),
}  # fmt: skip
HEADS = {
    "git lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "unpack it": b"PK\3\4" + bytes(200), "GIMP": b"gimp xcf v011\0" + bytes(200),
    "NumPy": b"\x93NUMPY\1\0" + bytes(200), "DICOM": bytes(128) + b"DICM" + bytes(200),
    "FITS": b"SIMPLE  =                    T" + bytes(200),
}  # fmt: skip


@pytest.mark.parametrize("kind", RAW)
def test_that_the_preview_in_a_raw_picture_is_not_taken_for_it(kind: str) -> None:
    assert "of the kind raw (of a camera)" in reason(RAW[kind]())


@pytest.mark.parametrize("words", HEADS)
def test_that_other_files_are_called_what_they_are(words: str, tmp_path: Path) -> None:
    assert words in reason(HEADS[words])
    for name in ("a.png", "a.zip"):
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / name).write_bytes(HEADS[words])
    with pytest.raises(Exception, match=words):
        load(DataSpec(source=str(tmp_path / "set"), resolution=8), tmp_path / "cache")


def test_that_a_small_page_alone_is_the_picture() -> None:
    assert read(tiff((GREYS, PREVIEW))).pixels[0, 0, 0] == 10


# --- what is told ------------------------------------------------------------------------------------------

STACK = np.stack([GREYS, GREYS.T, GREYS[::-1]])
ANIMATED = {"save_all": True, "append_images": [Image.fromarray(GREYS.T)]}
SEVERAL: dict[str, Callable[[], bytes]] = {
    "pages": lambda: tiff((STACK, {"photometric": "minisblack"})),
    "deep pages": lambda: tiff((STACK.astype(np.uint16) * 257, {"photometric": "minisblack"})),
    "channels of ImageJ": lambda: tiff((STACK, {"metadata": {"axes": "CYX"}}), imagej=True),
    "GIF": lambda: saved(Image.fromarray(GREYS), "GIF", **ANIMATED),
    "WebP": lambda: saved(Image.fromarray(GREYS), "WEBP", lossless=True, **ANIMATED),
}  # fmt: skip
ONE: dict[str, Callable[[], bytes]] = {
    "a page": lambda: tiff((GREYS, {})),
    "a page and a smaller copy": lambda: tiff((GREYS, {"subfiletype": 0}), (GREYS[::2, ::2].copy(), PREVIEW)),
    "one of ImageJ": lambda: tiff((GREYS, {}), imagej=True),
    "GIF": lambda: saved(Image.fromarray(GREYS), "GIF"),
    "JPEG": lambda: saved(Image.fromarray(GREYS), "JPEG"),
}  # fmt: skip


def notes(data: bytes, tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.png").write_bytes(data)
    Image.fromarray(GREYS).save(tmp_path / "set" / "b.png")
    found = [load(DataSpec(source=str(tmp_path / "set"), resolution=8), tmp_path / "cache") for _ in range(2)]
    assert found[0].notes == found[1].notes
    return found[0].notes


@pytest.mark.parametrize("kind", SEVERAL)
def test_that_pictures_that_are_not_used_are_told(kind: str, tmp_path: Path) -> None:
    assert notes(SEVERAL[kind](), tmp_path) == (
        "1 file holds several pictures, of which the first is used: a.png.",
    )


@pytest.mark.parametrize("kind", ONE)
def test_that_one_picture_needs_no_word(kind: str, tmp_path: Path) -> None:
    assert notes(ONE[kind](), tmp_path) == ()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_that_a_picture_of_which_nothing_shows_is_told(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(GREYS).convert(mode)
    image.putalpha(0)
    assert notes(saved(image, "PNG"), tmp_path) == (
        "1 picture is transparent everywhere, so only the background shows: a.png.",
    )

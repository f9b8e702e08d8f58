"""Pictures in forms that readers take for others without a word: read rightly, refused by name, or told."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from diffusion_studio.data import jpeg
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


def reason(data: bytes, side: int = SIDE) -> str:
    with pytest.raises(BadImage) as refused:
        read(data, side)
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
@pytest.mark.parametrize("white", [False, True])
def test_that_an_early_end_of_a_progressive_jpeg_is_noticed(white: bool, mode: str) -> None:
    image = photo()
    if white:
        image.paste((255, 255, 255), (0, 60, 96, 80))
    data = saved(image.convert(mode), "JPEG", quality=90, progressive=True)
    *scans, _ = (place.start() for place in re.finditer(b"\xff\xda", data))  # the last one says little
    ends = [data.index(b"\xff\xc4", start) for start in scans]
    long = [(start, end) for start, end in zip(scans, ends, strict=True) if end - start > 60]
    assert len(long) > 1
    for start, end in long:
        cut = (start + end) // 2
        assert reason(data[:cut] + b"\xff\xd9", 96) == "The file is cut off: its end is missing."


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("side", [16, 96])  # shrunk by the decoder, and not
def test_that_an_early_end_is_noticed_behind_fill_bytes(mode: str, side: int) -> None:
    thumbnail = b"Exif\0\0II*\0\x08\0\0\0\0\0" + b"\xff\xd9" * 9
    data = saved(photo().convert(mode), "JPEG", quality=90, exif=thumbnail)
    data = data[:2] + b"\xff\xff\xff" + data[2:]
    assert read(data, side).pixels.any()
    pixels = data.index(b"\xff\xda")
    assert "cut off" in reason(data[: pixels + (len(data) - pixels) // 2] + b"\xff\xd9", side)


def test_that_a_jpeg_that_ends_in_one_colour_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    again: list[bytes] = []
    whole = jpeg._ended

    def ended(data: bytes, asked: tuple[int, int] | None = None) -> Image.Image:
        again.append(data)
        return whole(data, asked)

    monkeypatch.setattr(jpeg, "_ended", ended)
    image = photo()
    for mode, colour in (("RGB", (255, 255, 255)), ("L", 0), ("CMYK", (0, 0, 0, 0))):
        some = image.convert(mode)
        some.paste(colour, (0, 40, 96, 80))
        for progressive in (False, True):
            assert read(saved(some, "JPEG", quality=90, progressive=progressive)).pixels.any()
    assert not again


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("side", [5, 16, 96])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}], ids=str)
def test_that_a_whole_jpeg_that_ends_in_one_colour_is_read(mode: str, side: int, options: dict) -> None:
    image = photo().resize((96, 96)).convert("RGB")
    for colour in (255, 128):  # the grey is that of missing pixels
        image.paste((colour,) * 3, (0, 40, 96, 96))
        data = saved(image.convert(mode).crop((0, 96 - side, side, 96)), "JPEG", quality=90, **options)
        for whole in (data, data + b"\0" * 40, data + data):
            assert abs(int(read(whole).pixels[-1, -1].min()) - colour) <= 5


def arithmetic(body: bytes) -> bytes:
    """A grey JPEG of 64 × 64 pixels whose scan is coded arithmetically."""
    data, out, place = saved(Image.new("L", (64, 64), 128), "JPEG", quality=90), b"\xff\xd8", 2
    while True:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        segment = data[place:end]
        if segment[1] == 0xC0:
            segment = b"\xff\xc9" + segment[2:]
        out += b"" if segment[1] == 0xC4 else segment  # tables of Huffman
        if segment[1] == 0xDA:
            return out + body + b"\xff\xd9"
        place = end


def test_that_arithmetic_coding_may_leave_out_the_zeros_at_its_end() -> None:
    assert (read(arithmetic(b"\x1f"), 64).pixels == 128).all()


def test_that_adobe_rgb_is_known_by_the_code_of_a_camera() -> None:
    image = Image.new("RGB", (SIDE, SIDE), (200, 100, 50))
    as_it_is = 200, 100, 50
    for space, code, expected in (
        (65535, "R03", (227, 100, 42)), (65535, "R98", as_it_is), (1, "R03", as_it_is)
    ):  # fmt: skip
        exif = Image.Exif()
        exif[0x8769] = {0xA001: space, 0xA005: {1: code}}
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
MADE = PREVIEW | {"extratags": [(271, "s", 6, "NIKON", True)]}
SMALL = GREYS[::4, ::4].copy()
RAW: dict[str, Callable[[], bytes]] = {
    "DNG": lambda: tiff((GREYS, {"extratags": [(50706, "B", 4, bytes([1, 4, 0, 0]), True)]})),
    "a preview and the picture inside": lambda: tiff(
        (SMALL, MADE | {"subifds": 1}), (GREYS.astype(np.uint16), RAW_COLOURS)
    ),
    "a preview and the picture behind": lambda: tiff(
        (SMALL, MADE), (GREYS.astype(np.uint16), RAW_COLOURS)
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
DRAWN = b"<svg xmlns='http://www.w3.org/2000/svg' width='9'/>"
OTHERS = {
    "SVG after a declaration": (b"<?xml version='1.0'?>\n<!-- Created with Inkscape -->\n" + DRAWN, "SVG"),
    "SVG after its type": (b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'svg11.dtd'>" + DRAWN, "SVG"),
    "SVG after a mark": (b"\xef\xbb\xbf\r\n " + DRAWN, "SVG"),
    "SVG after a long word": (b"<?xml version='1.0'?><!--" + bytes(500) + b"-->" + DRAWN, "SVG"),
    "old Canon": (b"II\x1a\0\0\0HEAPCCDR" + bytes(99), "raw (of a camera)"),
    "Minolta": (b"\0MRM" + bytes(99), "raw (of a camera)"),
    "Sigma": (b"FOVb\0\0\2\0" + bytes(99), "raw (of a camera)"),
    "pictures of a phone": (b"\0\0\0\x18ftyphevx" + bytes(99), "HEIC"),
    "floats": (b"Pf\n2 2\n-1\n" + bytes(16), "Netpbm"),
}
"""What other kinds begin with, and what they are called."""


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


@pytest.mark.parametrize("kind", OTHERS)
def test_that_kinds_that_are_not_read_are_named(kind: str) -> None:
    data, name = OTHERS[kind]
    assert reason(data).startswith(f"It is a picture of the kind {name}; ")


@pytest.mark.parametrize(
    "begins", [b"<!DOCTYPE html>", b"<html>", b"words about ", b"<?xml version='1.0'?><a/>"]
)
def test_that_a_page_of_the_web_is_no_picture(begins: bytes) -> None:
    drawn = b"" if begins.startswith(b"<?xml") else DRAWN
    assert reason(begins + drawn).startswith("It is not an image")


def test_that_a_file_that_is_named_like_no_picture_is_called_what_it_is(tmp_path: Path) -> None:
    zipped, gzipped, other = HEADS["unpack it"], b"\x1f\x8b\x08" + bytes(200), "It is not an image."
    raw, packed = "kind raw (of a camera)", "It is a packed file: unpack it"
    files = {
        "a.orf": (b"IIRO" + bytes(200), raw), "a.CR2": (RAW["Canon"](), raw), "a.raf": (RAW["Fuji"](), raw),
        "a.npy": (HEADS["NumPy"], "kind NumPy"), "a.dcm": (HEADS["DICOM"], "kind DICOM"),
        "a.xcf": (HEADS["GIMP"], "kind GIMP"), "a.fits": (HEADS["FITS"], "kind FITS"), "a": (zipped, other),
        "a.zip": (zipped, packed), "a.tar.gz": (gzipped, packed), "a.TGZ": (gzipped, packed),
        "a.docx": (zipped, other), "a.npz": (zipped, other), "a.kra": (zipped, other),
        "a.nii.gz": (gzipped, other), "a.txt": (b"words", other),
    }  # fmt: skip
    (tmp_path / "set").mkdir()
    Image.fromarray(GREYS).save(tmp_path / "set" / "b.png")
    for name, (data, _) in files.items():
        (tmp_path / "set" / name).write_bytes(data)
    found = load(DataSpec(source=str(tmp_path / "set"), resolution=8), tmp_path / "cache").skipped
    assert {each.file for each in found} == files.keys()
    assert not [(each.file, each.reason) for each in found if files[each.file][1] not in each.reason]
    pictures = {"a.orf", "a.CR2", "a.raf", "a.dcm", "a.xcf", "a.fits"}
    assert {each.file for each in found if not each.other} == pictures


def test_that_a_small_page_alone_is_the_picture() -> None:
    assert read(tiff((GREYS, PREVIEW))).pixels[0, 0, 0] == 10


def test_that_the_picture_behind_a_preview_is_read() -> None:
    plain = {"photometric": "rgb", "subfiletype": 0}
    turned = plain | {"extratags": [(274, "H", 1, 3, True)]}
    for settings, expected in ((plain, COLOURS), (turned, COLOURS[::-1, ::-1])):
        found = read(tiff((SMALL, PREVIEW), (SMALL, PREVIEW), (COLOURS, settings)))
        assert np.array_equal(found.pixels, expected)
        assert (found.width, found.height, found.several) == (SIDE, SIDE, False)
    deep = read(tiff((SMALL, PREVIEW), (GREYS.astype(np.uint16) * 257, RAW_COLOURS)))
    assert np.array_equal(deep.pixels[..., 0], GREYS)
    inside = tiff((SMALL, PREVIEW | {"subifds": 1}), (GREYS, RAW_COLOURS))
    assert reason(inside) == "It is a TIFF that begins with a preview; the picture itself cannot be read."


@pytest.mark.parametrize("behind", [bytes(64), b"\x07\0" + b"\x83" * 64, b"\xff" * 64, b"\1\0"], ids=str)
def test_that_an_offset_to_anything_behind_the_last_page_is_no_page(behind: bytes) -> None:
    data = bytearray(tiff((GREYS, {})))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        place = file.pages.first.offset + 2 + 12 * len(file.pages.first.tags)
    data[place : place + 4] = struct.pack("<I", len(data))
    found = read(bytes(data) + behind)
    assert np.array_equal(found.pixels[..., 0], GREYS)
    assert not found.several


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

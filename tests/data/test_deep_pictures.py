"""Pictures of every mode that a writer can make come out as they went in, to half a level of eight bits."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from diffusion_studio.data.decode import Frame, Picture, decode_file
from diffusion_studio.data.errors import BadImage
from support.image_folders import png_chunk
from support.profiles import adobe_rgb

SIDE = 16
BACKGROUND = (255, 200, 100)
HALF = 0.5 + 1e-3  # of a level
ORIENTED = np.array([[10, 80], [160, 250]], np.uint8)  # every corner another value


def levels(channels: int, seed: int = 0) -> NDArray[np.float64]:
    """Random shares of full intensity, black and white among them. (SIDE, SIDE, channels)"""
    values = np.random.default_rng(seed).random((SIDE, SIDE, channels))
    values[0, 0], values[-1, -1] = 0, 1
    return values


def read(data: bytes, channels: int = 3, background: tuple[int, int, int] = BACKGROUND) -> Picture:
    return decode_file(io.BytesIO(data), Frame(SIDE, channels, background=background))


def refusal(data: bytes) -> str:
    with pytest.raises(BadImage) as refused:
        read(data)
    return refused.value.reason


def tiff(values: NDArray[Any], **options: Any) -> bytes:
    memory = io.BytesIO()
    tifffile.imwrite(memory, values, **options)
    return memory.getvalue()


def stored(values: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    """Shares of full intensity as a type holds them."""
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    white = np.iinfo(dtype).max
    return np.rint(values * white).clip(0, white).astype(dtype)


def shares(values: NDArray[Any]) -> NDArray[np.float64]:
    """What was stored, as shares of full intensity."""
    return values.astype(np.float64) / (1 if values.dtype.kind == "f" else np.iinfo(values.dtype).max)


def over(colour: NDArray[np.float64], alpha: NDArray[np.float64]) -> NDArray[np.float64]:
    return colour * alpha + (1 - alpha) * np.array(BACKGROUND) / 255


def assert_equal_levels(found: NDArray[np.uint8], expected: NDArray[np.float64]) -> None:
    """To half a level."""
    assert np.abs(found - 255 * np.broadcast_to(expected, found.shape)).max() <= HALF


GREY_TYPES = ("uint8", "uint16", "uint32", "float16", "float32", "float64")
COMPRESSIONS = (None, "zlib", "lzw", "packbits")


@pytest.mark.parametrize("dtype", GREY_TYPES)
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_that_grey_tiffs_come_out_as_they_went_in(dtype: str, photometric: str, byteorder: str) -> None:
    values = stored(levels(1)[..., 0], dtype)
    data = tiff(values, photometric=photometric, byteorder=byteorder)
    expected = shares(values)[..., None]
    assert_equal_levels(read(data).pixels, 1 - expected if photometric == "miniswhite" else expected)


@pytest.mark.parametrize("dtype", GREY_TYPES)
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_that_colour_tiffs_come_out_as_they_went_in(dtype: str, planar: str, compression: str | None) -> None:
    values = stored(levels(3), dtype)
    written = np.moveaxis(values, 2, 0).copy() if planar == "separate" else values
    data = tiff(written, photometric="rgb", planarconfig=planar, compression=compression)
    assert_equal_levels(read(data).pixels, shares(values))


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "float32"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("alpha", ["unassalpha", "assocalpha"])
def test_that_transparent_colour_tiffs_show_the_background(dtype: str, planar: str, alpha: str) -> None:
    shown = levels(4)
    if alpha == "assocalpha":
        shown[..., :3] *= shown[..., 3:]
    values = stored(shown, dtype)
    written = np.moveaxis(values, 2, 0).copy() if planar == "separate" else values
    data = tiff(written, photometric="rgb", planarconfig=planar, extrasamples=[alpha])
    colour, opacity = shares(values)[..., :3], shares(values)[..., 3:]
    below = (1 - opacity) * np.array(BACKGROUND) / 255
    expected = colour + below if alpha == "assocalpha" else over(colour, opacity)
    assert_equal_levels(read(data).pixels, expected.clip(0, 1))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_that_grey_tiffs_with_alpha_show_the_background(dtype: str) -> None:
    values = stored(levels(2), dtype)
    data = tiff(values, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
    level = 1.0 if dtype == "uint8" else HALF  # Pillow composites in eight bits
    expected = over(shares(values)[..., :1], shares(values)[..., 1:])
    assert np.abs(read(data).pixels - 255 * expected).max() <= level


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_that_deep_cmyk_tiffs_are_converted(planar: str) -> None:
    values = stored(levels(4), "uint16")
    written = np.moveaxis(values, 2, 0).copy() if planar == "separate" else values
    data = tiff(written, photometric="separated", planarconfig=planar)
    ink = shares(values)
    assert np.abs(read(data).pixels - 255 * (1 - ink[..., :3]) * (1 - ink[..., 3:])).max() <= 2


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_that_small_numbers_in_long_ones_are_refused_and_not_black(dtype: str) -> None:
    values = np.arange(SIDE * SIDE).reshape(SIDE, SIDE).astype(dtype)
    white = np.iinfo(dtype).max
    assert refusal(tiff(values)).startswith(f"Its largest number is 255 of {white}, so nothing would be seen")
    inverted = tiff(values, photometric="miniswhite")
    assert refusal(inverted) == refusal(tiff(values)), "this one would be white"
    assert not read(tiff(np.zeros_like(values))).pixels.any(), "what is black is black"


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
def test_that_signed_integers_are_refused_by_name(dtype: str) -> None:
    reason = refusal(tiff(np.zeros((SIDE, SIDE), dtype), photometric="minisblack"))
    assert reason.startswith(f"It is a TIFF of {np.dtype(dtype).itemsize * 8}-bit signed integers")


def packed_tiff(values: NDArray[np.int64], bits: int, white_is_zero: bool = False) -> bytes:
    """A grey TIFF whose samples fill `bits` bits each, rows beginning at whole bytes."""
    rows = [
        int("".join(f"{value:0{bits}b}" for value in row).ljust(-(-SIDE * bits // 8) * 8, "0"), 2)
        for row in values
    ]
    strip = b"".join(row.to_bytes(-(-SIDE * bits // 8), "big") for row in rows)
    tags = {256: SIDE, 257: SIDE, 258: bits, 259: 1, 262: int(not white_is_zero), 273: 8, 277: 1, 278: SIDE}
    tags[279] = len(strip)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = struct.pack("<2sHI", b"II", 42, 8 + len(strip))
    return start + strip + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_that_packed_samples_come_out_as_they_went_in(bits: int, white_is_zero: bool) -> None:
    white = 2**bits - 1
    values = np.rint(levels(1)[..., 0] * white).astype(np.int64)
    expected = values[..., None] / white
    found = read(packed_tiff(values, bits, white_is_zero)).pixels
    assert_equal_levels(found, 1 - expected if white_is_zero else expected)


def test_that_a_deep_tiff_is_turned_upright() -> None:
    sideways = np.kron(np.rot90(ORIENTED, 1), np.ones((8, 8), np.uint16)).astype(np.uint16) * 257
    data = tiff(sideways, photometric="minisblack", extratags=[(274, "H", 1, 6, True)])
    assert read(data).pixels[::8, ::8, 0].tolist() == ORIENTED.tolist()


@pytest.mark.parametrize("compression", ["jpegxl", "jpeg2000"])
def test_that_a_deep_tiff_of_a_rare_compression_is_refused_by_name(compression: str) -> None:
    reason = refusal(
        tiff(stored(levels(1)[..., 0], "uint16"), photometric="minisblack", compression=compression)
    )
    assert reason.startswith("It is a TIFF of 16-bit integers compressed by ")


def test_that_a_deep_tiff_of_many_pixels_is_refused() -> None:
    head = packed_tiff(np.zeros((SIDE, SIDE), np.int64), 12)
    huge = head.replace(struct.pack("<HHII", 256, 4, 1, SIDE), struct.pack("<HHII", 256, 4, 1, 2**24))
    assert refusal(huge).startswith("The picture has 268 megapixels")


# --- PNG -------------------------------------------------------------------------------------------------


def png(rows: NDArray[Any], bits: int, colour: int, *extra: bytes) -> bytes:
    """A PNG of (H, W, S) samples of 8 or 16 bits, or of packed ones of 1, 2, 4 bits (S = 1)."""
    height, width = rows.shape[:2]
    if bits < 8:
        lines = [
            int("".join(f"{v:0{bits}b}" for v in row[:, 0]), 2).to_bytes(width * bits // 8, "big")
            for row in rows
        ]
    else:
        lines = [row.astype(f">u{bits // 8}").tobytes() for row in rows]
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + line for line in lines))
    chunks = [png_chunk(b"IHDR", header), *extra, png_chunk(b"IDAT", content), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


COLOUR_TYPES = {0: 1, 2: 3, 4: 2, 6: 4}  # channels


@pytest.mark.parametrize("colour", COLOUR_TYPES)
def test_that_pngs_of_sixteen_bits_come_out_as_they_went_in(colour: int) -> None:
    values = stored(levels(COLOUR_TYPES[colour]), "uint16")
    found, share = read(png(values, 16, colour)), shares(values)
    expected = over(share[..., :-1], share[..., -1:]) if colour >= 4 else share
    assert_equal_levels(found.pixels, expected)
    assert found.deep


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_that_the_transparent_value_of_a_grey_png_shows_the_background(bits: int) -> None:
    white = 2**bits - 1
    values = np.rint(levels(1) * white).astype(np.int64)
    hidden = int(values[3, 5, 0])
    found = read(png(values, bits, 0, png_chunk(b"tRNS", struct.pack(">H", hidden))))
    expected = np.where(values == hidden, np.array(BACKGROUND) / 255, values / white)
    assert_equal_levels(found.pixels, expected)


@pytest.mark.parametrize("bits", [8, 16])
def test_that_the_transparent_colour_of_a_png_shows_the_background(bits: int) -> None:
    white = 2**bits - 1
    values = np.rint(levels(3) * white).astype(np.int64)
    hidden = values[3, 5]
    if bits == 16:
        values[3, 6] = hidden ^ 1  # the same in eight bits, but not transparent
    found = read(png(values, bits, 2, png_chunk(b"tRNS", struct.pack(">HHH", *hidden.tolist()))))
    same = (values == hidden).all(2, keepdims=True)
    assert_equal_levels(found.pixels, np.where(same, np.array(BACKGROUND) / 255, values / white))


def test_that_the_cover_of_an_animation_is_not_taken_for_its_first_frame() -> None:
    memory = io.BytesIO()
    cover, *frames = (Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "lime", "blue"))
    cover.save(memory, "PNG", save_all=True, append_images=frames, default_image=True)
    assert read(memory.getvalue()).pixels[0, 0].tolist() == [0, 255, 0]


# --- colour profiles, JPEG, other kinds ------------------------------------------------------------------


def profile(kind: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()  # type: ignore[arg-type]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WebP"])
def test_that_colours_of_another_space_are_brought_to_srgb(format: str) -> None:
    memory = io.BytesIO()
    image = Image.new("RGB", (SIDE, SIDE), (200, 100, 50))
    image.save(memory, format, icc_profile=adobe_rgb(), **({"lossless": True} if format == "WebP" else {}))
    np.testing.assert_allclose(read(memory.getvalue()).pixels[0, 0], (227, 100, 42), atol=2)


def test_that_sixteen_bits_of_another_space_are_brought_to_srgb() -> None:
    values = np.tile(np.array([200, 100, 50], np.uint16) * 257, (SIDE, SIDE, 1))
    found = read(tiff(values, photometric="rgb", iccprofile=adobe_rgb()))
    np.testing.assert_allclose(found.pixels[0, 0], (227, 100, 42), atol=2)


@pytest.mark.parametrize("broken", [b"no profile", adobe_rgb()[:200]])
def test_that_a_damaged_profile_costs_nothing(broken: bytes) -> None:
    memory = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (200, 100, 50)).save(memory, "PNG", icc_profile=broken)
    assert read(memory.getvalue()).pixels[0, 0].tolist() == [200, 100, 50]


def test_that_srgb_is_left_as_it_is() -> None:
    values = stored(levels(3), "uint8")
    memory = io.BytesIO()
    Image.fromarray(values).save(memory, "PNG", icc_profile=profile("sRGB"))
    assert np.array_equal(read(memory.getvalue()).pixels, values)


def jpeg(**options: Any) -> bytes:
    memory = io.BytesIO()
    Image.fromarray(stored(levels(3), "uint8")).resize((64, 64)).save(memory, "JPEG", quality=95, **options)
    return memory.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
def test_that_a_jpeg_without_its_end_marker_is_whole(progressive: bool) -> None:
    data = jpeg(progressive=progressive)
    assert data.endswith(b"\xff\xd9")
    frame = Frame(64, 3)
    assert np.array_equal(
        decode_file(io.BytesIO(data[:-2]), frame).pixels, decode_file(io.BytesIO(data), frame).pixels
    )


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [3, 4, 8, 12, 14, 20, 100, 900])
def test_that_a_jpeg_without_some_of_its_pixels_is_cut_off(progressive: bool, missing: int) -> None:
    assert refusal(jpeg(progressive=progressive)[:-missing]) == "The file is cut off: its end is missing."


def test_that_avif_is_read_whatever_its_name() -> None:
    memory = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (200, 100, 50)).save(memory, "AVIF", quality=100)
    np.testing.assert_allclose(read(memory.getvalue()).pixels[0, 0], (200, 100, 50), atol=3)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\x76\x2f\x31\x01\2\0\0\0", "OpenEXR"),
        (b"P6\n4 4\n255\n", "Netpbm"),
        (b"<svg xmlns=", "SVG"),
    ],
)
def test_that_a_kind_that_is_not_read_is_refused_by_name(head: bytes, kind: str) -> None:
    assert refusal(head + bytes(40)).startswith(f"It is a picture of the kind {kind}; ")


def test_that_a_nearly_black_deep_picture_tells_so() -> None:
    twelve_bits = np.rint(levels(1)[..., 0] * 4095).astype(np.uint16)
    found = read(tiff(twelve_bits, photometric="minisblack"))
    assert (found.brightest, found.deep) == (16, True)

"""Colours that a file says are no sRGB come out as they look: by gamma, primaries, codes and profiles."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from diffusion_studio.data.decode import Frame, decode_file
from diffusion_studio.data.errors import BadImage
from support.image_folders import png_chunk
from support.profiles import SRGB, adobe_rgb, colour_profile, grey_profile

SIDE = 8
LEVELS = np.linspace(0, 255, SIDE * SIDE).round().reshape(SIDE, SIDE).astype(np.uint8)
COLOURS = np.stack([LEVELS, LEVELS[::-1], LEVELS.T], 2)
P3 = 12, 13  # cICP: the primaries of Display P3, the curve of sRGB
PQ = 9, 16
PRIMARIES = 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000  # of sRGB
XYZ_OF_P3 = np.array([[0.48657, 0.26567, 0.19822], [0.22897, 0.69174, 0.07929], [0.0, 0.04511, 1.04394]])
XYZ_OF_SRGB = np.array(
    [[0.41239, 0.35758, 0.18048], [0.21264, 0.71517, 0.07219], [0.01933, 0.11919, 0.95053]]
)


def light(shares: NDArray[Any]) -> NDArray[np.float64]:
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def curve(linear: NDArray[Any]) -> NDArray[np.float64]:
    linear = np.clip(linear, 1e-12, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def png(shares: NDArray[np.float64], *chunks: tuple[bytes, bytes], bits: int = 16) -> bytes:
    """A picture (H, W, 1 to 4) whose meaning is said by chunks before its pixels."""
    values = np.rint(shares * (2**bits - 1)).astype(">u2" if bits == 16 else np.uint8)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[shares.shape[2]]
    head = struct.pack(">IIBBBBB", shares.shape[1], shares.shape[0], bits, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def gamma(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def embedded(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"x\0\0" + zlib.compress(profile)


def read(data: bytes, channels: int = 3) -> NDArray[np.uint8]:
    return decode_file(io.BytesIO(data), Frame(SIDE, channels, background=(255, 255, 255))).pixels


def check(data: bytes, expected: NDArray[Any], atol: float = 0.51) -> None:
    found = read(data, expected.shape[2]).astype(float)
    np.testing.assert_allclose(found, expected, atol=atol)


GREY, COLOUR = LEVELS[..., None] / 255, COLOURS / 255
SAID: dict[str, tuple[tuple[bytes, bytes], ...]] = {
    "linear by gamma": (gamma(1.0),),
    "a code against a gamma": ((b"cICP", bytes([1, 8, 0, 1])), gamma(0.45455)),
    "a code against a profile": ((b"cICP", bytes([1, 8, 0, 1])), embedded(adobe_rgb())),
    "linear by a profile": (embedded(colour_profile(SRGB, 1.0, "linear")), gamma(0.45455)),
    "a profile called linear sRGB": (embedded(colour_profile(SRGB, 1.0, "GIMP built-in Linear sRGB")),),
}
AS_IT_IS: dict[str, tuple[tuple[bytes, bytes], ...]] = {
    "the gamma of sRGB": (gamma(0.45455),),
    "sRGB said against a gamma": ((b"sRGB", b"\0"), gamma(1.0)),
    "a code of sRGB": ((b"cICP", bytes([1, 13, 0, 1])), gamma(1.0)),
    "a code that specifies nothing": ((b"cICP", bytes([2, 2, 0, 1])),),
    "a gamma of nothing": (gamma(0.0),),
    "primaries of sRGB": (gamma(0.45455), (b"cHRM", struct.pack(">8I", *PRIMARIES))),
    "primaries on one line": (gamma(0.45455), (b"cHRM", struct.pack(">8I", *[30000] * 8))),
    "primaries at nothing": (gamma(0.45455), (b"cHRM", bytes(32))),
}  # fmt: skip


@pytest.mark.parametrize("kind", SAID)
def test_that_linear_light_is_shown_as_it_looks(kind: str) -> None:
    check(png(light(COLOUR), *SAID[kind]), COLOURS, atol=1.01 if "profile" in kind else 0.51)


@pytest.mark.parametrize("kind", AS_IT_IS)
@pytest.mark.parametrize("bits", [8, 16])
def test_that_what_is_srgb_or_says_nothing_stays(kind: str, bits: int) -> None:
    check(png(COLOUR, *AS_IT_IS[kind], bits=bits), COLOURS)


@pytest.mark.parametrize("power", [1.0, 1 / 1.8])
@pytest.mark.parametrize("bits", [8, 16])
def test_that_gamma_counts_at_every_depth_and_with_transparency(power: float, bits: int) -> None:
    stored = np.rint(light(GREY) ** power * (2**bits - 1)) / (2**bits - 1)
    expected = 255 * curve(stored ** (1 / power))
    check(png(stored, gamma(power), bits=bits), expected)
    alpha = np.full_like(GREY, 0.5)
    opacity = np.rint(alpha * (2**bits - 1)) / (2**bits - 1)
    shown = np.repeat(expected * opacity + 255 * (1 - opacity), 3, 2)
    check(png(np.concatenate([stored, alpha], 2), gamma(power), bits=bits), shown, atol=1.01)


def test_that_primaries_are_brought_to_srgb() -> None:
    stored = np.rint(COLOUR * 65535) / 65535
    expected = 255 * curve(light(stored) @ (np.linalg.inv(XYZ_OF_SRGB) @ XYZ_OF_P3).T)
    check(png(stored, (b"cICP", bytes([*P3, 0, 1]))), expected)
    places = 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000
    check(png(stored, gamma(0.45455), (b"cHRM", struct.pack(">8I", *places))), expected)


def test_that_light_beyond_white_is_refused_by_name() -> None:
    avif = imagecodecs.avif_encode(COLOURS, level=100, pixelformat="444", primaries=9, transfer=18, matrix=9)
    pq = png(COLOUR, (b"cICP", bytes([*PQ, 0, 1])))
    for data, kind in ((pq, r"a PNG of high dynamic range \(PQ\)"), (avif, r"an AVIF .* \(HLG\)")):
        with pytest.raises(BadImage, match=kind):
            read(bytes(data))


def test_that_the_codes_of_avif_count() -> None:
    even = np.full((SIDE, SIDE, 3), (200, 60, 60), np.uint8)
    data = imagecodecs.avif_encode(even, level=100, pixelformat="444", primaries=12, transfer=13, matrix=0)
    expected = 255 * curve(light(even / 255) @ (np.linalg.inv(XYZ_OF_SRGB) @ XYZ_OF_P3).T)
    check(bytes(data), expected, atol=3)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "with alpha", "16 bits", "16 bits, alpha", "16-bit TIFF"])
def test_that_the_profile_of_a_grey_picture_is_heeded_where_it_is_dark(format: str) -> None:
    profile, deep = grey_profile(1.0), "16" in format
    values = np.rint(light(GREY[..., 0]) * (65535 if deep else 255))
    expected = 255 * curve(values / (65535 if deep else 255))[..., None]
    memory = io.BytesIO()
    match format:
        case "16 bits":
            memory.write(png(values[..., None] / 65535, embedded(profile)))
        case "16 bits, alpha":
            both = np.stack([values / 65535, np.ones_like(values)], 2)
            memory.write(png(both, embedded(profile)))
        case "16-bit TIFF":
            tifffile.imwrite(memory, values.astype(np.uint16), photometric="minisblack", iccprofile=profile)
        case _:
            image = Image.fromarray(values.astype(np.uint8))
            if format == "with alpha":
                image.putalpha(255)
            image.save(memory, "TIFF" if format == "TIFF" else "PNG", icc_profile=profile)
    check(memory.getvalue(), expected, atol=0.51 if deep else 0.75)


# --- TIFF --------------------------------------------------------------------------------------------------


def tiff(values: NDArray[Any], **options: Any) -> bytes:
    memory = io.BytesIO()
    tifffile.imwrite(memory, values, **options)
    return memory.getvalue()


@pytest.mark.parametrize(("bits", "white"), [(8, 65535), (8, 255), (16, 65535), (16, 255)])
def test_that_palettes_are_read_at_every_depth(bits: int, white: int) -> None:
    colours = np.array([[10, 200, 90], [250, 40, 30]])
    table = np.zeros((3, 2**bits), np.uint16)
    table[:, :2] = colours.T * (white // 255)
    places = (LEVELS > 100).astype(np.uint8 if bits == 8 else np.uint16)
    check(tiff(places, photometric="palette", colormap=table), colours[places])


@pytest.mark.parametrize("alpha", ["assocalpha", "unassalpha"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_that_grey_of_eight_bits_with_alpha_shows_the_background(alpha: str, planar: str) -> None:
    opacity = LEVELS.T / 255
    stored = np.rint(LEVELS * (opacity if alpha == "assocalpha" else 1)).astype(np.uint8)
    both = np.stack([stored, LEVELS.T], 0 if planar == "separate" else 2)
    seen = stored if alpha == "assocalpha" else stored * opacity
    data = tiff(both, photometric="minisblack", planarconfig=planar, extrasamples=[alpha])
    check(data, (seen + 255 * (1 - opacity))[..., None])

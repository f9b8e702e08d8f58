"""One file to pixels: orientation, modes, transparency, fitting, and a sentence for every defect."""

from __future__ import annotations

import contextlib
import errno
import io
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusion_studio.data.decode import Frame, decode, decode_file
from diffusion_studio.data.errors import BadImage, NotAnImage
from support.image_folders import (
    BREAKERS,
    WRITERS,
    crops,
    png_chunk,
    rotated_by_camera,
    sixteen_bit,
    with_wrong_checksum,
)

SIDE = 32


def crop_of(side: int = SIDE) -> Image.Image:
    return next(crops(seed=3, low=side, high=side))


def saved(image: Image.Image, format: str = "PNG", **options: object) -> io.BytesIO:
    memory = io.BytesIO()
    image.save(memory, format, **options)
    memory.seek(0)
    return memory


def pixels(image: Image.Image, frame: Frame, format: str = "PNG", **options: object) -> np.ndarray:
    return decode_file(saved(image, format, **options), frame).pixels


def reason_of(data: bytes) -> str:
    with pytest.raises(BadImage) as caught:
        decode_file(io.BytesIO(data), Frame(SIDE, 3))
    return caught.value.reason


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF"])
def test_that_a_lossless_picture_of_the_right_size_is_unchanged(format: str) -> None:
    image = crop_of()
    assert np.array_equal(pixels(image, Frame(SIDE, 3), format), np.asarray(image))


@pytest.mark.parametrize("kind", WRITERS)
def test_that_every_kind_of_picture_is_read(kind: str, tmp_path: Path) -> None:
    ending, write = WRITERS[kind]
    write(crop_of(48), tmp_path / f"a{ending}")
    for channels in (1, 3):
        picture = decode(tmp_path / f"a{ending}", Frame(16, channels))
        assert picture.pixels.shape == (16, 16, channels)
        assert picture.pixels.dtype == np.uint8
        assert (picture.width, picture.height) == (48, 48)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_that_the_camera_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    """The stored picture is turned by hand according to the EXIF standard."""
    image = crop_of(64)
    stored = np.asarray(Image.open(saved(image, "JPEG", quality=95)))
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored, 1),
    }[orientation]
    rotated_by_camera(image, tmp_path / "a.jpg", orientation)
    assert np.array_equal(decode(tmp_path / "a.jpg", Frame(64, 3)).pixels, upright)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_that_orientation_counts_in_other_formats_too_and_only_once(format: str) -> None:
    image = crop_of()
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"lossless": True} if format == "WEBP" else {}
    turned = pixels(image, Frame(SIDE, 3), format, exif=exif, **options)
    assert np.array_equal(turned, np.rot90(np.asarray(image), -1))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "JPEG", "AVIF"])
def test_that_a_picture_is_as_large_as_it_is_seen(format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    found = decode_file(saved(Image.new("RGB", (40, 32)), format, exif=exif), Frame(SIDE, 3))
    assert (found.width, found.height) == (32, 40)


def test_that_a_place_that_is_none_is_damage_and_no_refusal_of_the_system() -> None:
    class Odd(io.BytesIO):
        def seek(self, *_: int) -> int:
            raise OSError(errno.EINVAL, "Invalid argument")

    with pytest.raises(BadImage, match="damaged") as caught:
        decode_file(Odd(saved(Image.new("RGB", (8, 8))).getvalue()), Frame(SIDE, 3))
    assert not caught.value.passing


def test_that_damaged_camera_data_does_not_cost_the_picture() -> None:
    image = crop_of()
    assert pixels(image, Frame(SIDE, 3), "PNG", exif=b"Exif\0\0nonsense").shape == (SIDE, SIDE, 3)


def test_that_transparency_shows_the_background() -> None:
    image = Image.new("RGBA", (4, 4), (200, 100, 50, 128))
    image.putpixel((0, 0), (9, 9, 9, 0))
    image.putpixel((1, 0), (9, 8, 7, 255))
    found = pixels(image, Frame(4, 3, background=(10, 20, 255)))
    mixed = [round((128 * a + 127 * b) / 255) for a, b in zip((200, 100, 50), (10, 20, 255), strict=True)]
    assert found[0, 0].tolist() == [10, 20, 255]
    assert found[0, 1].tolist() == [9, 8, 7]
    assert found[3, 3].tolist() == mixed


def test_that_transparent_palette_colours_show_the_background() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 1), 1)
    for format in ("PNG", "GIF"):
        found = pixels(image, Frame(4, 3, background=(1, 2, 3)), format, transparency=0)
        assert found[0, 0].tolist() == [1, 2, 3]
        assert found[1, 1].tolist() == [0, 0, 255]


def test_that_a_transparent_colour_key_shows_the_background() -> None:
    image = Image.new("RGB", (4, 4), (255, 0, 255))
    image.putpixel((2, 2), (1, 1, 1))
    found = pixels(image, Frame(4, 3, background=(7, 7, 7)), transparency=(255, 0, 255))
    assert found[0, 0].tolist() == [7, 7, 7]
    assert found[2, 2].tolist() == [1, 1, 1]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_that_sixteen_bits_are_scaled_exactly(format: str) -> None:
    image = crop_of()
    grey = np.asarray(image.convert("L"))
    assert np.array_equal(pixels(sixteen_bit(image), Frame(SIDE, 1), format)[..., 0], grey)


def test_that_sixteen_bits_are_rounded() -> None:
    image = Image.fromarray(np.array([[0, 128, 129, 65535]] * 4, np.uint16))
    assert pixels(image, Frame(4, 1))[0, :, 0].tolist() == [0, 0, 1, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 0.2, 0.4, 1], np.float32), [0, 51, 102, 255]),
        (np.array([0, 51, 102, 255], np.float32), [0, 51, 102, 255]),
        (np.array([-0.01, 0.2, 0.4, 1.2], np.float32), [0, 51, 102, 255]),
    ],
)
def test_that_floats_are_scaled_by_their_range(values: np.ndarray, expected: list[int]) -> None:
    image = Image.fromarray(np.tile(values, (4, 1)))
    assert pixels(image, Frame(4, 1), "TIFF")[0, :, 0].tolist() == expected


@pytest.mark.parametrize("values", [[-1, -0.6, -0.2, 1], [7000, 7000, 7000, 7000], [0, 1, 2, 300]])
def test_that_floats_of_another_range_are_refused(values: list[float]) -> None:
    image = Image.fromarray(np.tile(np.array(values, np.float32), (4, 1)))
    reason = reason_of(saved(image, "TIFF").getvalue())
    assert reason.startswith("Its values are floating-point numbers from ")
    assert reason.endswith("only 0 to 1 or 0 to 255 say what is black and what is white.")


def test_that_signed_integers_are_refused_by_name() -> None:
    image = Image.fromarray(np.tile(np.array([0, 100, 200, 255], np.int32), (4, 1)))
    assert reason_of(saved(image, "TIFF").getvalue()) == (
        "It is a TIFF of 32-bit signed integers; what is black and what is white in them is not known."
    )


def test_that_values_that_are_no_numbers_are_refused() -> None:
    memory = saved(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF")
    assert reason_of(memory.getvalue()) == "The picture holds values that are not finite numbers."


def test_that_lab_colours_are_converted() -> None:
    white_and_black = Image.new("LAB", (4, 4), (255, 128, 128))
    white_and_black.putpixel((0, 0), (0, 128, 128))
    found = pixels(white_and_black, Frame(4, 3), "TIFF").astype(int)
    assert found[0, 0].max() <= 2
    assert found[3, 3].min() >= 253


def test_that_cmyk_colours_are_converted() -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert pixels(image, Frame(8, 3), "TIFF")[0, 0].tolist() == [255, 0, 0]
    assert abs(pixels(image, Frame(8, 3), "JPEG")[0, 0].astype(int) - [255, 0, 0]).max() <= 2


def test_that_the_first_frame_of_an_animation_is_taken() -> None:
    first, second = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 255))
    for format in ("GIF", "PNG", "WEBP", "TIFF"):
        found = pixels(first, Frame(8, 3), format, save_all=True, append_images=[second])
        assert found[4, 4, 0] > 250 and found[4, 4, 2] < 5


def test_that_crop_keeps_the_centre() -> None:
    wide = np.zeros((8, 20, 3), np.uint8)
    wide[:, 6:14] = np.asarray(crop_of(40))[:8, :8]
    for turned in (wide, wide.transpose(1, 0, 2)):
        found = pixels(Image.fromarray(np.ascontiguousarray(turned)), Frame(8, 3))
        assert np.array_equal(found, turned[6:14] if turned.shape[0] == 20 else turned[:, 6:14])


def test_that_pad_adds_background_on_both_sides() -> None:
    image = Image.new("RGB", (8, 4), (1, 2, 3))
    found = pixels(image, Frame(8, 3, "pad", (200, 0, 0)))
    assert (found[2:6] == [1, 2, 3]).all()
    assert (found[:2] == [200, 0, 0]).all() and (found[6:] == [200, 0, 0]).all()
    assert pixels(image, Frame(8, 1, "pad", (200, 200, 200)))[0, 0, 0] == 200


def test_that_stretch_uses_all_of_the_picture() -> None:
    halves = np.zeros((4, 8, 3), np.uint8)
    halves[:, 4:] = 255
    found = pixels(Image.fromarray(halves), Frame(8, 3, "stretch"))
    assert (found[:, :4] == 0).all() and (found[:, 4:] == 255).all()


def test_that_tiny_pixel_art_keeps_its_hard_edges() -> None:
    art = np.asarray(crop_of(40))[:8, :8]
    found = pixels(Image.fromarray(np.ascontiguousarray(art)), Frame(32, 3))
    assert np.array_equal(found, art.repeat(4, 0).repeat(4, 1))


def test_that_shrinking_averages_instead_of_picking() -> None:
    checkers = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    found = pixels(Image.fromarray(checkers), Frame(8, 1)).astype(int)
    assert abs(found - 127.5).max() < 8


def test_that_a_large_jpeg_is_shrunk_like_the_same_picture_without_loss() -> None:
    large = crop_of(48).resize((960, 960), Image.Resampling.BICUBIC)
    lossy = pixels(large, Frame(SIDE, 3), "JPEG", quality=95).astype(int)
    assert abs(lossy - pixels(large, Frame(SIDE, 3))).mean() < 3


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 7)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_that_extreme_proportions_are_read(size: tuple[int, int], fit: str) -> None:
    assert pixels(Image.new("RGB", size), Frame(16, 3, fit)).shape == (16, 16, 3)  # type: ignore[arg-type]


SENTENCES = {
    "truncated png": "The file is cut off: its end is missing.",
    "truncated jpeg": "The file is cut off: its end is missing.",
    "empty": "The file is empty.",
    "text": "It is not an image: its content is not one of PNG, JPEG, WebP, BMP, GIF, TIFF, AVIF.",
    "random bytes": "It is not an image: its content is not one of PNG, JPEG, WebP, BMP, GIF, TIFF, AVIF.",
    "wrong checksum": "A checksum inside the file is wrong: the file is damaged.",
    "bomb": "The picture has 400 megapixels; the limit is 100.",
}


@pytest.mark.parametrize("kind", BREAKERS)
def test_that_every_defect_has_its_sentence(kind: str) -> None:
    random = np.random.default_rng(0)
    assert reason_of(BREAKERS[kind][1](crop_of(64), random)) == SENTENCES[kind]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
def test_that_a_picture_without_its_second_half_is_refused(format: str) -> None:
    data = saved(crop_of(64), format).getvalue()
    assert reason_of(data[: len(data) // 2]).endswith(".")


def test_that_a_header_alone_is_refused() -> None:
    data = saved(crop_of(), "JPEG").getvalue()
    assert reason_of(data[:300]).endswith(".")
    assert reason_of(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IEND", b"")).endswith(".")


def test_that_a_wrong_checksum_of_the_last_pixels_is_found() -> None:
    assert reason_of(with_wrong_checksum(saved(crop_of()).getvalue())) == SENTENCES["wrong checksum"]


def test_that_postscript_is_never_read() -> None:
    with pytest.raises(NotAnImage):
        decode_file(saved(crop_of(), "EPS"), Frame(SIDE, 3))


def test_that_a_text_chunk_that_unpacks_to_gigabytes_is_refused() -> None:
    png = saved(crop_of()).getvalue()
    swollen = png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(100_000_000), 9))
    assert reason_of(png[:33] + swollen + png[33:]).startswith("The picture is damaged:")


def test_that_a_missing_or_forbidden_file_is_a_bad_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadImage, match="cannot be read: no such file"):
        decode(tmp_path / "none.png", Frame(SIDE, 3))

    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(BadImage, match=r"The file cannot be read: permission denied\."):
        decode(tmp_path / "a.png", Frame(SIDE, 3))


@pytest.mark.skipif(sys.platform == "win32", reason="libtiff is a part of Pillow there")
@pytest.mark.parametrize("compression", ["tiff_lzw", "group4", "jpeg", "tiff_adobe_deflate"])
def test_that_what_is_wrong_with_a_tiff_is_said_by_the_sentence_alone(
    compression: str, capfd: pytest.CaptureFixture[str]
) -> None:
    random, memory = np.random.default_rng(0), io.BytesIO()
    image = Image.fromarray(random.integers(0, 256, (64, 64), np.uint8))
    (image.convert("1") if compression == "group4" else image).save(memory, "TIFF", compression=compression)
    for place in range(20, len(memory.getvalue()) // 2, 97):
        data = bytearray(memory.getvalue())
        data[place : place + 8] = random.bytes(8)
        with contextlib.suppress(BadImage):
            decode_file(io.BytesIO(bytes(data)), Frame(16, 1))
    assert capfd.readouterr() == ("", "")

"""What a person would take for granted and is not so is said in a sentence."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from diffusion_studio.data.decode import Frame, decode_file
from diffusion_studio.data.errors import BadImage
from diffusion_studio.data.imageset import ImageSet, first_alike
from diffusion_studio.data.load import load
from diffusion_studio.data.spec import DataSpec

HEAD = "file_name,label\n"
ALIKE = "are told apart, though their names are almost the same."
TAKEN = "is taken for a class of that name, not for a missing one."
UNREAD = "is not read: labels stand in metadata.csv or metadata.jsonl."
COMMA = "1 row has more columns than its header, first a.png: a label with a comma in it stands in quotes."
LINES = '{"file_name": "a.png", "label": NaN}\n{"file_name": "b.png", "label": "y"}\n'
LINES += '{"file_name": "c.png", "label": "x"}\n'
TABLES: dict[str, tuple[str, str, tuple[str, ...], str]] = {
    "a picture without": ("metadata.csv", HEAD + "a.png,x\nb.png,y\n", ("x", "y"),
                          "1 of 3 pictures has no label there, first c.png."),
    "an empty label": ("metadata.csv", HEAD + "a.png,\nb.png,y\nc.png,x\n", ("x", "y"),
                       "1 of 3 pictures has no label there, first a.png."),
    "no label of pandas": ("metadata.jsonl", LINES, ("x", "y"),
                           "1 of 3 pictures has no label there, first a.png."),
    "a comma": ("metadata.csv", HEAD + "a.png,cat, black\nb.png,dog\nc.png,dog\n", ("cat", "dog"),
                f"metadata.csv: {COMMA}"),
    "one number twice": ("metadata.csv", HEAD + "a.png,1.0\nb.png,1\nc.png,01\n", ("01", "1", "1.0"),
                         f"The classes “01”, “1” and “1.0” {ALIKE}"),
    "one column twice": ("metadata.csv", "label,file_name,label\nx,a.png,1\ny,b.png,2\nx,c.png,1\n",
                         ("1", "2"),
                         "metadata.csv: 2 columns are called label; the last one counts."),
    "one class alone": ("metadata.csv", HEAD + "a.png,x\nb.png,x\nc.png,x\n", ("x",),
                        "All labels are “x”: one class alone tells nothing apart."),
    "a label that says nothing": ("metadata.csv", HEAD + "a.png,nan\nb.png,y\nc.png,y\n", ("nan", "y"),
                                  f"The label “nan” {TAKEN}"),
    "another kind": ("metadata.parquet", "PAR1", (), f"metadata.parquet {UNREAD}"),
    "another name": ("labels.CSV", HEAD + "a.png,x\n", (), f"labels.CSV {UNREAD}"),
    "capitals": ("METADATA.CSV", HEAD + "a.png,x\nb.png,y\nc.png,y\n", ("x", "y"), ""),
    "a config": ("config.json", "{}", (), ""),
}  # fmt: skip


def draw(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), value).save(path)


def read(root: Path, store: Path) -> ImageSet:
    return load(DataSpec(source=str(root), resolution=8), store)


@pytest.mark.parametrize("kind", TABLES)
def test_that_what_a_table_does_not_say_is_told(kind: str, tmp_path: Path) -> None:
    name, text, classes, note = TABLES[kind]
    for number, picture in enumerate("abc"):
        draw(tmp_path / "set" / f"{picture}.png", 50 * number + 50)
    (tmp_path / "set" / name).write_text(text)
    found = read(tmp_path / "set", tmp_path / "cache")
    assert found.class_names == classes
    assert found.notes == ((note,) if note else ())


@pytest.mark.parametrize("form", ["id{:03}", "{:.2f}"])
def test_that_labels_of_single_pictures_are_told(form: str, tmp_path: Path) -> None:
    for number in range(30):
        draw(tmp_path / "set" / f"{number}.png", number)
    rows = "".join(f"{number}.png,{form.format(number)}\n" for number in range(30))
    (tmp_path / "set" / "metadata.csv").write_text(HEAD + rows)
    (note,) = (n for n in read(tmp_path / "set", tmp_path / "cache").notes if "classes" in n)
    assert note.startswith("There are 30 classes for 30 pictures, first “")


def broken(root: Path) -> None:
    for name in ("cat", "dog"):
        draw(root / name / "0.png", len(name) + ord(name[0]))
    (root / "emu").mkdir()
    (root / "emu" / "0.png").write_bytes(b"no picture")


def only_apart(root: Path) -> None:
    for number, name in enumerate(("train/cat", "train/dog", "val/cat", "val/emu")):
        draw(root / name / "0.png", 50 * number + 40)


def two_classes(root: Path) -> None:
    draw(root / "cat" / "0.png", 50)
    draw(root / "cat" / "1.png", 60)
    draw(root / "dog" / "0.png", 50)


FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "broken": (broken, "The class “emu” is not trained on: none of its pictures can be read."),
    "apart": (only_apart, "The class “emu” is not trained on: all its pictures are kept apart."),
    "at odds": (two_classes,
                "1 picture has the same pixels as one of another class, first dog/0.png as cat/0.png."),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOLDERS)
def test_that_a_class_that_is_lost_is_told(kind: str, tmp_path: Path) -> None:
    make, note = FOLDERS[kind]
    make(tmp_path / "set")
    found = read(tmp_path / "set", tmp_path / "cache")
    assert found.class_names == ("cat", "dog")
    assert note in found.notes
    assert read(tmp_path / "set", tmp_path / "cache").notes == found.notes


def test_that_images_alike_are_found() -> None:
    images = np.zeros((6, 1, 2, 2), np.uint8)
    images[[1, 4], 0, 1, 1] = 7
    images[3] = 9
    assert first_alike(images).tolist() == [0, 1, 0, 3, 1, 0]


SOME = np.arange(64, dtype=np.uint8).reshape(8, 8)
COLOURS = np.dstack([SOME] * 3).repeat(8, 0).repeat(8, 1)
DEEP = SOME.repeat(4, 0).repeat(4, 1).astype(np.uint16) * 16


def tiff(values: np.ndarray, **options: object) -> bytes:
    memory = io.BytesIO()
    tifffile.imwrite(memory, values, **options)
    return memory.getvalue()


KINDS: dict[str, Callable[[], bytes]] = {
    "JPEG of 12 bits": lambda: bytes(imagecodecs.jpeg_encode(DEEP, bitspersample=12)),
    "lossless JPEG": lambda: bytes(imagecodecs.ljpeg_encode(DEEP * 16)),
    "JPEG-LS": lambda: bytes(imagecodecs.jpegls_encode(SOME)),
    "compressed by JPEGXL": lambda: tiff(COLOURS, compression="jpegxl"),
    "compressed by WEBP": lambda: tiff(COLOURS, compression="webp"),
    "of 5 channels": lambda: tiff(np.dstack([SOME] * 5), photometric="minisblack", planarconfig="contig"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_that_a_kind_that_is_not_read_is_named_and_not_called_damaged(kind: str) -> None:
    with pytest.raises(BadImage) as refused:
        decode_file(io.BytesIO(KINDS[kind]()), Frame(8, 1))
    assert kind in refused.value.reason
    assert "not read" in refused.value.reason

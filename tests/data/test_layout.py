"""Splits, classes and wrapping folders are told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.data.layout import classes_by_folder, layout_of, twins
from diffusion_studio.data.load import load
from diffusion_studio.data.spec import DataSpec

COLOURS = {"cat": (200, 30, 30), "dog": (30, 200, 30)}


def draw(root: Path, *names: str) -> Path:
    """Pictures in the colour of the class that their path names."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        colour = next((c for key, c in COLOURS.items() if key in name.split("/")), (30, 30, 200))
        Image.new("RGB", (8, 8), colour).save(root / name)
    return root


def pictures(*folders: str, each: int = 3) -> list[str]:
    return [f"{folder}/{number}.png".lstrip("/") for folder in folders for number in range(each)]


def read(root: Path, part: str = "train") -> ImageSet:
    return load(DataSpec(source=str(root), resolution=8), root.parent / "cache", part=part)  # type: ignore[arg-type]


def classes(*files: str) -> dict[str, str]:
    layout = layout_of(files)
    trained = layout.files("train")
    return classes_by_folder({file: layout.plain[file] for file in trained}, trained)[0]


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "test"), ("Training", "Testing"), ("train", "val"), ("TRAIN", "validation"),
     ("training_set", "test_set"), ("train2017", "val2017"), ("train-images", "Test Images"),
     ("train", "test1")],
)  # fmt: skip
def test_that_splits_are_no_classes(train: str, test: str, tmp_path: Path) -> None:
    names = pictures(f"{train}/cat", f"{train}/dog", f"{test}/dog", each=2)
    found = read(draw(tmp_path / "set", *names))
    assert found.class_names == ("cat", "dog")
    assert found.files == tuple(sorted(name for name in names if name.startswith(train)))
    assert found.apart == 2
    assert found.how == "Classes come from the names of the folders."
    assert found.notes == (
        f"The folders {train} and {test} are splits, not classes: {train} is trained on, 2 pictures in "
        f"{test} kept apart.",
    )
    apart = read(tmp_path / "set", "apart")
    assert apart.class_names == found.class_names
    assert [apart.label_name(number) for number in range(apart.count)] == ["dog", "dog"]


@pytest.mark.parametrize("other", ["trainer", "tests", "data", "1", "valley", "unlabelled"])
def test_that_names_that_only_begin_like_splits_are_classes(other: str) -> None:
    assert set(classes("train/0.png", f"{other}/1.png").values()) == {"train", other}


def test_that_splits_inside_classes_are_found_too() -> None:
    layout = layout_of(["cat/train/0.png", "cat/test/1.png", "dog/train/2.png", "dog/test/3.png"])
    assert layout.files("train") == ["cat/train/0.png", "dog/train/2.png"]
    assert classes_by_folder(layout.plain, layout.files("train"))[0]["dog/test/3.png"] == "dog"


def test_that_what_lies_beside_the_splits_is_told() -> None:
    layout = layout_of(["train/a/0.png", "train/b/1.png", "test/a/2.png", "extra/3.png"])
    assert layout.files("train") == ["train/a/0.png", "train/b/1.png"]
    assert layout.notes[1] == "extra lies beside the splits and is not used (1 picture)."


def test_that_a_folder_called_test_alone_is_a_class() -> None:
    assert set(classes("test/0.png", "other/1.png").values()) == {"test", "other"}


def test_that_one_folder_around_all_does_not_lose_the_classes() -> None:
    assert classes("x/flowers/rose/0.png", "x/flowers/tulip/0.png") == {
        "x/flowers/rose/0.png": "rose", "x/flowers/tulip/0.png": "tulip"
    }  # fmt: skip


@pytest.mark.parametrize("stray", ["cover.png", "flowers/cover.png"])
def test_that_a_stray_picture_does_not_lose_the_classes(stray: str) -> None:
    files = [stray, *pictures("flowers/rose", "flowers/tulip")]
    named, notes = classes_by_folder(layout_of(files).plain, files)
    assert set(named.values()) == {"rose", "tulip"}
    assert stray not in named
    assert notes == (f"1 picture lies beside the class folders and has no class, first {stray}.",)


def test_that_pictures_without_a_class_that_are_kept_apart_do_not_lose_the_classes() -> None:
    files = [*pictures("train/cat", "train/dog"), *pictures("test", each=30), "test/cat/9.png"]
    layout = layout_of(files)
    named, notes = classes_by_folder(layout.plain, layout.files("train"))
    assert {named[file] for file in layout.files("train")} == {"cat", "dog"}
    assert {file for file in layout.files("apart") if file in named} == {"test/cat/9.png"}
    assert notes == ()


@pytest.mark.parametrize("names", [("test", "val"), ("extra", "train")])
def test_that_folders_that_are_called_like_splits_and_are_none_are_told(names: tuple[str, str]) -> None:
    files = pictures(*names)
    named, (note,) = classes_by_folder(layout_of(files).plain, files)
    assert set(named.values()) == {*names}
    assert "taken for" in note and "splits need one folder to train on" in note


def test_that_an_empty_folder_is_told(tmp_path: Path) -> None:
    root = draw(tmp_path / "set", *pictures("cat", "dog"))
    (root / "bird").mkdir()
    assert "bird is empty." in read(root).notes


def test_that_many_pictures_beside_folders_make_no_classes() -> None:
    assert classes(*pictures("", each=20), *pictures("old", "new")) == {}


def test_that_classes_that_look_alike_are_told() -> None:
    assert twins(["Cat", "cat ", "dog", "red_fox", "Red Fox"]) == (
        "The classes “Cat” and “cat ” are told apart, though their names are almost the same.",
        "The classes “red_fox” and “Red Fox” are told apart, though their names are almost the same.",
    )


def test_that_twelve_bits_in_sixteen_are_told(tmp_path: Path) -> None:
    root = draw(tmp_path / "set", "cat/0.png", "dog/1.png")
    values = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    tifffile.imwrite(root / "cat" / "deep.tif", values, photometric="minisblack")
    assert read(root).notes[0].startswith("1 of 3 pictures is nearly black: perhaps 12-bit data in 16-bit ")


def test_that_a_black_set_is_told(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    Image.new("L", (8, 8), 9).save(tmp_path / "set" / "0.png")
    expected = ("All pictures are nearly black: their brightest value is 9 of 255.",)
    assert read(tmp_path / "set").notes == expected
    assert read(tmp_path / "set").notes == expected  # from the cache


def test_that_classes_can_be_put_in_the_order_of_a_run(tmp_path: Path) -> None:
    found = read(draw(tmp_path / "set", *pictures("cat", "dog", each=1)))
    turned = found.with_classes(("eel", "dog", "cat"))
    assert [turned.label_name(number) for number in range(2)] == ["cat", "dog"]
    assert turned.labels.tolist() == [2, 1]
    assert found.with_classes(("dog",)).labels.tolist() == [-1, 0]
    assert turned.fingerprint != found.fingerprint


FOUR = pictures("trainA", "trainB", "testA", "testB", each=2)
APART: dict[str, tuple[list[str], tuple[str, ...], int]] = {  # files, classes, how many are kept apart
    "words in front": (pictures("seg_train/seg_train/sea", "seg_train/seg_train/street",
                                "seg_test/seg_test/sea", "seg_pred/seg_pred"), ("sea", "street"), 3),
    "of one set": (pictures("cars_train", "cars_test"), (), 3),
    "a flat test": ([*pictures("alphabet_train/alphabet_train/A", "alphabet_train/alphabet_train/B"),
                     "alphabet_test/alphabet_test/A_test.png"], ("A", "B"), 1),
    "words behind": (pictures("train_another/yes", "train_another/no", "validation_another/yes"),
                     ("no", "yes"), 3),
    "trainval": (pictures("trainval/cat", "trainval/dog", "test/cat"), ("cat", "dog"), 3),
    "two domains": (FOUR, ("A", "B"), 4),
}  # fmt: skip


@pytest.mark.parametrize("kind", APART)
def test_that_splits_of_other_names_are_no_classes(kind: str, tmp_path: Path) -> None:
    files, names, apart = APART[kind]
    found = read(draw(tmp_path / "set", *files))
    assert (found.class_names, found.apart) == (names, apart)
    assert "are splits, not classes" in found.notes[0]
    assert read(tmp_path / "set", "apart").count == apart


@pytest.mark.parametrize(
    "names", [("freight_train", "steam_train"), ("train_a", "test_b"), ("protest", "trainer")]
)
def test_that_names_without_their_counterpart_are_classes(names: tuple[str, str]) -> None:
    assert set(classes(*pictures(*names)).values()) == {*names}


INCOMPLETE = {  # folders, and the classes that are trained on
    "a class alone": (("train_dogs", "test_dogs", "train_cats"), {"dogs", "cats"}),
    "a domain alone": (("trainA", "trainB", "testA"), {"A", "B"}),
    "a test alone": (("seg_train/sea", "seg_train/street", "seg_test/sea", "val/sea"), {"sea", "street"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", INCOMPLETE)
def test_that_a_set_without_its_counterpart_is_not_lost(kind: str) -> None:
    folders, names = INCOMPLETE[kind]
    assert set(classes(*pictures(*folders)).values()) == names
    layout = layout_of(pictures(*folders))
    assert len(layout.part) == 3 * len(folders)
    assert len(layout.files("apart")) == 3 * sum("test" in name or "val" in name for name in folders)


@pytest.mark.parametrize(
    ("others", "pair"),
    [(("birds", "train_cats"), ("test_dogs", "train_dogs")), (("cat", "dog"), ("cat_test", "cat_train")),
     (("Road",), ("CrashTest", "CrashTraining")), (("car",), ("bullet_test", "bullet_train"))],
)  # fmt: skip
def test_that_folders_beside_one_that_is_no_split_are_classes(
    others: tuple[str, ...], pair: tuple[str, str]
) -> None:
    files = pictures(*others, *pair)
    layout = layout_of(files)
    assert layout.files("train") == files
    named, notes = classes_by_folder(layout.plain, files)
    assert set(named.values()) == {*others, *pair}
    assert notes == (
        f"{pair[0]} and {pair[1]} are taken for classes, as {others[0]} beside them is no split.",
    )


def test_that_what_a_network_said_may_lie_beside_splits() -> None:
    layout = layout_of(pictures("SegTrain/sea", "SegTrain/street", "SegTest/sea", "SegPred"))
    assert len(layout.files("train")) == 6
    assert layout.notes[-1] == "SegPred lies beside the splits and is not used (3 pictures)."


def test_that_folders_may_lie_in_each_other_as_deep_as_a_path_is_long() -> None:
    deep = "a/" * 2000
    layout = layout_of([f"{deep}train/x.png", f"{deep}test/y.png"])
    assert layout.files("apart") == [f"{deep}test/y.png"]


def test_that_a_class_that_is_a_link_to_another_is_told(tmp_path: Path) -> None:
    root = draw(tmp_path / "set", *pictures("cat", "dog"))
    try:
        (root / "kitten").symlink_to("cat")
    except OSError:
        pytest.skip("links need a right here")
    found = read(root)
    assert found.class_names == ("cat", "dog")
    assert [(s.file, s.reason) for s in found.skipped] == [
        ("kitten", "It is a link to a folder that is read already.")
    ]

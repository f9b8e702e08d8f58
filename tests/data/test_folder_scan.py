"""What a folder holds, and the labels of its images."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from diffusion_studio.data.errors import Cancelled, DataError
from diffusion_studio.data.labels import labels_for, numbered, sorted_names
from diffusion_studio.data.layout import layout_of
from diffusion_studio.data.scan import FoundFile, looks_like_image, scan


def put(root: Path, *names: str, content: bytes = b"x") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def test_that_a_walk_says_how_far_it_is_and_ends_in_the_middle_of_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("diffusion_studio.data.scan._AT_ONCE", 2)
    for number in range(7):
        (tmp_path / f"{number}.png").touch()
    told = []
    assert len(scan(tmp_path, None, told.append).files) == 7
    assert told == [2, 4, 6]
    with pytest.raises(Cancelled):
        scan(tmp_path, lambda: len(told) > 4, told.append)
    assert told == [2, 4, 6, 2, 4]


def test_that_nested_files_are_found_in_order_and_hidden_ones_are_not(tmp_path: Path) -> None:
    put(tmp_path, "b/c/d.png", "a.png", "b/a.txt", ".hidden/a.png", "b/.DS_Store", "z", "metadata.csv")
    listing = scan(tmp_path)
    assert [f.path for f in listing.files] == ["a.png", "b/a.txt", "b/c/d.png", "z"]
    assert [f.path for f in listing.metadata] == ["metadata.csv"]
    assert listing.files[0].size == 1
    assert listing.files[0].mtime_ns == (tmp_path / "a.png").stat().st_mtime_ns


def test_that_folders_named_like_images_are_noted_and_walked(tmp_path: Path) -> None:
    put(tmp_path, "x.png/inside.png")
    listing = scan(tmp_path)
    assert listing.folders_named_like_images == ("x.png",)
    assert [f.path for f in listing.files] == ["x.png/inside.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_that_links_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    put(tmp_path, "real/a.png")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    put(outside, "b.png")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "real")
    (tmp_path / "linked").symlink_to(outside)
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    listing = scan(tmp_path)
    assert [f.path for f in listing.files] == ["linked/b.png", "real/a.png"]
    assert [s.file for s in listing.skipped] == ["again", "dangling.png", "self.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_that_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert scan(tmp_path).skipped[0].reason == "It is not a regular file."


def test_that_a_folder_that_cannot_be_entered_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "open/a.png", "shut/b.png")
    real = os.scandir

    def guarded(path: Path) -> object:
        if Path(path).name in ("shut", "root"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", guarded)
    listing = scan(tmp_path)
    assert [f.path for f in listing.files] == ["open/a.png"]
    assert listing.skipped[0].file == "shut"
    assert listing.skipped[0].reason == "The folder cannot be read: permission denied."
    (tmp_path / "root").mkdir()
    with pytest.raises(DataError, match="root cannot be read: permission denied"):
        scan(tmp_path / "root")


def test_that_a_wrong_path_is_said_in_a_sentence(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    with pytest.raises(DataError, match=r"There is no folder .*none"):
        scan(tmp_path / "none")
    with pytest.raises(DataError, match="is a file; choose the folder"):
        scan(tmp_path / "a.png")
    with pytest.raises(DataError, match="cannot be read"):
        scan(tmp_path / ("long" * 1000))


def test_that_walking_can_be_cancelled(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        scan(tmp_path, lambda: True)


@pytest.mark.parametrize("name", ["a.png", "A.JPG", "b.jpeg", "c.tif", "d.TIFF", "e.heic", "f.webp"])
def test_that_image_names_are_known(name: str) -> None:
    assert looks_like_image(name)
    assert not looks_like_image(name + ".txt") and not looks_like_image(name.split(".")[1])


def labels(root: Path, *files: str) -> tuple[dict[str, str], list[str]]:
    found = [FoundFile(n, 1, 1) for n in ("metadata.csv", "metadata.jsonl") if (root / n).exists()]
    labelling = labels_for(root, found, files, layout_of(files))
    return labelling.named, [f"{s.file}: {s.reason}" for s in labelling.report]


def test_that_sub_folders_are_classes(tmp_path: Path) -> None:
    assert labels(tmp_path, "cat/a.png", "dog/x/b.png") == ({"cat/a.png": "cat", "dog/x/b.png": "dog"}, [])


def test_that_one_folder_or_images_beside_folders_are_no_classes(tmp_path: Path) -> None:
    assert labels(tmp_path, "cat/a.png", "cat/b/c.png") == ({}, [])
    assert labels(tmp_path, "cat/a.png", "dog/b.png", "c.png") == ({}, [])


def test_that_a_csv_file_comes_before_folders_and_leaves_gaps(tmp_path: Path) -> None:
    text = '\ufefffile_name,label,note\ncat/a.png,"big, red",x\ncat\\b.png,7,y\nc/c.png,,z\n'
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8")
    (tmp_path / "metadata.jsonl").write_text("{}")
    named, report = labels(tmp_path, "cat/a.png", "cat/b.png", "c/c.png", "c/d.png")
    assert named == {"cat/a.png": "big, red", "cat/b.png": "7"}
    assert report == ["metadata.jsonl: Not used: the labels come from metadata.csv."]


def test_that_json_lines_hold_labels_of_any_plain_kind(tmp_path: Path) -> None:
    rows = [{"file_name": "a.png", "label": 3}, {"file_name": "./b.png", "label": "3 ü"}]
    rows += [{"file_name": "c.png", "label": None}]
    (tmp_path / "metadata.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
    assert labels(tmp_path, "a.png", "b.png", "c.png") == ({"a.png": "3", "b.png": "3 ü"}, [])


def test_that_rows_without_an_image_are_reported(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,label\na.png,1\nx.png,2\n")
    named, report = labels(tmp_path, "a.png")
    assert named == {"a.png": "1"}
    assert report == ["metadata.csv: Some of its rows name no image here (1 in all, first 'x.png')."]


@pytest.mark.parametrize(
    "text",
    [
        "file_name;label\nMädchen.png;x\n",
        "file_name\tlabel\nMädchen.png\tx\n",
        " File_Name , LABEL \nMädchen.png , x\n",
        "file_name,label\nM\u0061\u0308dchen.png,x\n",
        "file_name,label\nmÄDCHEN.PNG,x\n",
        "file_name,label\n{root}/Mädchen.png,x\n",
        "file_name,label\n.\\Mädchen.png,x\n",
        "\n\nfile_name,label\nMädchen.png,x\n",
        "sep=;\nfile_name;label\nMädchen.png;x\n",
        'file_name, "label"\n"Mädchen.png", "x"\n',
        "label,file_name\rx,Mädchen.png\r",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_that_a_row_finds_its_image(text: str, encoding: str, tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(text.replace("{root}", str(tmp_path)), encoding=encoding)
    assert labels(tmp_path, "Mädchen.png", "other.png") == ({"Mädchen.png": "x"}, [])


def test_that_a_name_in_another_case_that_may_mean_two_images_means_none(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,label\nA.PNG,1\nb.png,2\n")
    named, report = labels(tmp_path, "a.png", "A.png", "b.png")
    assert named == {"b.png": "2"}
    assert report == ["metadata.csv: Some of its rows name no image here (1 in all, first 'A.PNG')."]


def test_that_contradictions_are_told(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,label\na.png,1\nb.png,2\na.png,2\nb.png,2\n")
    files = ("a.png", "b.png")
    found = labels_for(tmp_path, [FoundFile("metadata.csv", 1, 1)], files, layout_of(files))
    assert found.named == {"a.png": "2", "b.png": "2"}
    assert found.notes == (
        "metadata.csv: 1 picture stands there with different labels, first a.png with “1” and “2”; the last "
        "one counts.",
        "All labels are “2”: one class alone tells nothing apart.",
    )


def test_that_a_run_is_no_folder_of_images(tmp_path: Path) -> None:
    put(tmp_path, "config.json", "data.json", "metrics.sqlite", "samples/step-1.png")
    with pytest.raises(DataError, match=r"is a run, not a folder of images; --resume goes on"):
        scan(tmp_path)


def test_that_truth_is_called_as_it_is_written(tmp_path: Path) -> None:
    rows = '{"file_name": "a.png", "label": true}\n{"file_name": "b.png", "label": false}\n'
    (tmp_path / "metadata.jsonl").write_text(rows)
    assert labels(tmp_path, "a.png", "b.png") == ({"a.png": "true", "b.png": "false"}, [])


def test_that_a_metadata_file_speaks_of_its_own_folder(tmp_path: Path) -> None:
    put(tmp_path, "one/0.png", "two/0.png")
    for name, label in (("one", "x"), ("two", "y")):
        (tmp_path / name / "metadata.csv").write_text(f"file_name,label\n0.png,{label}\n")
    listing = scan(tmp_path)
    found = labels_for(tmp_path, listing.metadata, listing.pictures, layout_of(listing.pictures))
    assert found.named == {"one/0.png": "x", "two/0.png": "y"}
    assert found.how == "Classes come from one/metadata.csv and two/metadata.csv."


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir",
        "#recycle",
        "$RECYCLE.BIN",
        "lost+found",
        "__MACOSX",
        "System Volume Information",
        "@__thumb",
        "Temporary Items",
        "found.000",
    ],
)
def test_that_folders_of_the_system_are_passed_over(name: str, tmp_path: Path) -> None:
    put(tmp_path, "cat/a.png", f"cat/{name}/a.png/thumb.jpg", f"{name}/x.png")
    listing = scan(tmp_path)
    assert listing.pictures == ("cat/a.png",)
    assert listing.passed_over == tuple(sorted([name, f"cat/{name}"]))


def test_that_runs_among_the_pictures_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "cat/a.png", "config.json", "run/config.json", "run/samples/step-1.png")
    (tmp_path / "run" / "checkpoints").mkdir()
    put(tmp_path, "album/config.json", "album/b.png")
    listing = scan(tmp_path)
    assert listing.pictures == ("album/b.png", "cat/a.png")
    assert listing.passed_over == ("run",)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("metadata.csv", b"file,class\na.png,1\n", "lacks the column"),
        ("metadata.csv", b"", "lacks the column"),
        ("metadata.csv", b"file_name,label\n\xff\xfe,1\n", "not UTF-8"),
        ("metadata.csv", b'file_name,label\n"a.png,1\n', "not used"),
        (
            "metadata.csv",
            b"file_name,label\nother.png,1\n",
            "'other.png' where an image is called 'cat/a.png'",
        ),
        ("metadata.csv", b"file_name,label\ncat/a.png,\n", "gives none of the images here a label"),
        ("metadata.csv", b"file_name,label\n", "it has no rows"),
        ("metadata.csv", b"picture,kind\na.png,1\n", "its columns are 'picture', 'kind'"),
        ("metadata.csv", b'file_name,label\na.png,"x"y\n', "no table that can be read: see line 2"),
        (
            "metadata.csv",
            b"file_name,label\na.png," + b"x" * 200_000,
            "no table that can be read: see line 2",
        ),
        ("metadata.csv", "file_name,label\n".encode("utf-16-le"), "it holds null characters"),
        ("metadata.csv", b"PK\x03\x04" + bytes(40), "it is a packed file, perhaps a spreadsheet"),
        ("metadata.jsonl", b'[{"file_name": "cat/a.png", "label": 1}]\n', "line 1 is none of the form"),
        ("metadata.jsonl", b'{"file": "cat/a.png"}\n', "line 1 lacks file_name or label; it has 'file'"),
        ("metadata.jsonl", b"{\n", "line 1 is not JSON"),
        ("metadata.jsonl", b"[" * 100_000, "not used"),
        ("metadata.jsonl", b'{"file_name": "cat/a.png"}\n', "line 1 lacks"),
        ("metadata.jsonl", b'{"file_name": "cat/a.png", "label": []}\n', "not a text or a number"),
    ],
)
def test_that_an_unusable_label_file_is_reported_and_folders_count(
    name: str, content: bytes, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    named, report = labels(tmp_path, "cat/a.png", "dog/b.png")
    assert named == {"cat/a.png": "cat", "dog/b.png": "dog"}
    assert len(report) == 1 and complaint in report[0] and report[0].endswith(".")


def test_that_class_names_are_sorted_as_numbers_if_they_are_numbers() -> None:
    assert sorted_names(["10", "9", "-1"]) == ["-1", "9", "10"]
    assert sorted_names(["10.0", "2.0", "-3.5", "1e1"]) == ["-3.5", "2.0", "10.0", "1e1"]
    assert sorted_names(["10", "9", "b"]) == ["9", "10", "b"]
    assert sorted_names(["class_10", "class_2", "class_02b"]) == ["class_2", "class_02b", "class_10"]
    assert sorted_names(["nan", "inf", "1"]) == ["1", "inf", "nan"]
    assert sorted_names(["1" * 5000, "2"]) == ["2", "1" * 5000]
    found, names = numbered(["a", "b", "c"], {"a": "10", "c": "9"})
    assert names == ("9", "10")
    assert np.array_equal(found, [1, -1, 0])

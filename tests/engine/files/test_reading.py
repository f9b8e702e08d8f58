"""Only regular files inside a folder, of a size that is expected, are opened."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from diffusion_studio.engine.files.reading import inside, json_inside, parsed, read_inside, regular
from support import hostile

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names and links")
REASONS = {
    "folder": "it is no regular file", "huge": "it has 1,099,512 MB, more than the 17 MB that are read",
    "pipe": "it is no regular file", "device": "it leads out of its folder",
    "circle": "circle|Too many|symbolic links", "link out": "it leads out of its folder",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    (made / "sub").mkdir(parents=True)
    (made / "a.json").write_text('{"a": 1}')
    (made / "sub" / "b.json").write_text("[2]")
    (tmp_path / "secret.json").write_text("3")
    return made


def test_that_what_belongs_to_the_folder_is_read(folder):
    assert json_inside(folder, "a.json") == {"a": 1}
    assert json_inside(folder, "sub/b.json") == [2]
    assert read_inside(folder, "a.json", most=8) == b'{"a": 1}'
    with pytest.raises(FileNotFoundError):
        read_inside(folder, "c.json")


@pytest.mark.parametrize("kind", [kind for kind in hostile.KINDS if kind != "deep"])
def test_that_nothing_else_is_opened(kind, folder, monkeypatch):
    hostile.put(folder / "a.json", kind)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    with pytest.raises(OSError, match=REASONS[kind]) as caught:
        read_inside(folder, "a.json")
    assert caught.value.strerror


@pytest.mark.parametrize("name", ["../secret.json", "sub/../../secret.json", "sub/../a.json", "ABSOLUTE"])
def test_that_a_name_never_leads_out(name, folder):
    name = name.replace("ABSOLUTE", str(folder.parent / "secret.json"))
    with pytest.raises(OSError, match="it leads out of its folder"):
        json_inside(folder, name)


@pytest.mark.parametrize("name", ["a\0.json", "\ud800.json"])
@posix
def test_that_what_is_no_name_is_refused(name, folder):
    with pytest.raises(ValueError):
        json_inside(folder, name)


def test_that_a_byte_too_many_is_refused_before_it_is_read(folder):
    assert regular(folder / "a.json", 8) == folder / "a.json"
    with pytest.raises(OSError, match="more than"):
        regular(folder / "a.json", 7)


@posix
def test_that_a_folder_may_itself_be_a_link_and_hold_links_to_its_own(folder):
    (folder / "again.json").symlink_to("sub/b.json")
    (folder.parent / "linked").symlink_to(folder)
    for place in (folder, folder.parent / "linked"):
        assert json_inside(place, "again.json") == [2]


@posix
def test_that_a_snapshot_of_the_hub_is_read_through_its_links(folder):
    hub = folder.parent / "models--a--b"
    snapshot = hub / "snapshots" / "0123abcd"
    (snapshot / "unet").mkdir(parents=True)
    (hub / "blobs").mkdir()
    (hub / "blobs" / "ffff").write_text("4")
    (snapshot / "unet" / "config.json").symlink_to("../../../blobs/ffff")
    assert json_inside(snapshot, "unet/config.json") == 4
    (snapshot / "out.json").symlink_to(folder.parent / "secret.json")
    for name in ("out.json", "../../blobs/ffff"):
        with pytest.raises(OSError, match="it leads out of its folder"):
            inside(snapshot, name)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is not valid JSON"), ("{", "it is not valid JSON"), ("1" * 5000, "it is not valid JSON"),
        ("[" * 100_000, "its brackets are nested too deeply"),
        ('{"a":' * 100_000, "its brackets are nested too deeply"),
    ],
)  # fmt: skip
def test_that_what_cannot_be_parsed_says_why(text, reason):
    with pytest.raises(ValueError, match=reason):
        parsed(text.encode())


def test_that_text_in_another_encoding_is_no_json():
    with pytest.raises(ValueError, match="it is not valid JSON"):
        parsed(b"{\xff}")

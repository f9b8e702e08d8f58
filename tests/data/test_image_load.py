"""Folders and digits as sets, by way of the cache."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from diffusion_studio.data import cache
from diffusion_studio.data import load as loading
from diffusion_studio.data.cache import NOTE
from diffusion_studio.data.errors import BadImage, Cancelled, DataError, FolderGoneError
from diffusion_studio.data.imageset import ImageSet, Skipped, fingerprint_of
from diffusion_studio.data.load import cache_key, load
from diffusion_studio.data.scan import Listing, scan
from diffusion_studio.data.spec import DataSpec
from support.image_folders import add_broken_files, build_mixed_folder, crops


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six photographs in two classes."""
    source = crops(seed=11)
    for number in range(6):
        path = tmp_path / "photos" / ("a" if number % 2 else "b") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        next(source).save(path)
    return tmp_path / "photos"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def spec_of(folder: Path, **changes: object) -> DataSpec:
    return DataSpec.model_validate({"source": str(folder), "resolution": 16} | changes)


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        def refuse(*_: object) -> None:
            raise AssertionError("decoded again")

        monkeypatch.setattr(loading, "decode", refuse)

    return forbid


def same(a: ImageSet, b: ImageSet) -> bool:
    arrays = all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("images", "labels", "sizes"))
    return arrays and a.manifest() == b.manifest() and a.name == b.name


def test_that_exactly_the_sound_images_are_used_and_the_broken_reported(tmp_path: Path, store: Path) -> None:
    sound = build_mixed_folder(tmp_path / "mixed", 60)
    broken = add_broken_files(tmp_path / "mixed", 40)
    found = load(spec_of(tmp_path / "mixed"), store)
    assert found.files == tuple(sound)
    assert {s.file for s in found.skipped} == set(broken)
    assert all(s.reason.endswith(".") for s in found.skipped)
    assert found.class_names == ("blüte", "china", "山水")
    assert [found.label_name(i) for i in range(60)] == [s.label for s in sound.values()]
    assert found.images.shape == (60, 3, 16, 16)
    assert found.images.dtype == np.uint8
    assert found.name == "mixed"


def test_that_images_stand_in_the_order_of_their_files(photos: Path, store: Path) -> None:
    found = load(spec_of(photos, fit="stretch"), store)
    for file, image, size in zip(found.files, found.images, found.sizes, strict=True):
        with Image.open(photos / file) as picture:
            small = picture.resize((16, 16), Image.Resampling.LANCZOS, reducing_gap=3.0)
            assert np.array_equal(image, np.asarray(small).transpose(2, 0, 1))
            assert tuple(size) == picture.size
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_that_reopening_does_not_decode(photos: Path, store: Path, no_decoding: Callable[[], None]) -> None:
    add_broken_files(photos, 8)
    first = load(spec_of(photos), store)
    no_decoding()
    assert same(load(spec_of(photos), store), first)
    assert first.fingerprint == fingerprint_of(first.images, first.labels, first.class_names)


@pytest.mark.parametrize("change", ["content", "added", "removed", "renamed", "metadata"])
def test_that_a_change_in_the_folder_is_noticed(change: str, photos: Path, store: Path) -> None:
    before = load(spec_of(photos), store)
    if change == "content":
        Image.new("RGB", (40, 40), "red").save(photos / "a" / "1.png")
    elif change == "added":
        shutil.copy(photos / "a" / "1.png", photos / "a" / "9.png")
    elif change == "removed":
        (photos / "a" / "1.png").unlink()
    elif change == "renamed":
        (photos / "a" / "1.png").rename(photos / "b" / "1.png")
    else:
        (photos / "metadata.csv").write_text("file_name,label\na/1.png,x\n")
    assert load(spec_of(photos), store).fingerprint != before.fingerprint


def test_that_each_shape_has_its_own_cache(photos: Path, store: Path) -> None:
    shapes = [{}, {"resolution": 8}, {"channels": 1}, {"fit": "pad"}, {"fit": "pad", "background": "red"}]
    assert len({load(spec_of(photos, **s), store).fingerprint for s in shapes}) == 5
    assert len(list(store.iterdir())) == 5
    load(spec_of(photos, flip=True), store)
    assert len(list(store.iterdir())) == 5


def damage_short(folder: Path) -> None:
    data = (folder / cache.IMAGES).read_bytes()
    (folder / cache.IMAGES).write_bytes(data[:-1])


def damage_flip(folder: Path) -> None:
    data = bytearray((folder / cache.IMAGES).read_bytes())
    data[100] ^= 1
    (folder / cache.IMAGES).write_bytes(data)


def damage_json(folder: Path) -> None:
    (folder / cache.INDEX).write_text('{"shape": [6, 3')


def damage_labels(folder: Path) -> None:
    index = json.loads((folder / cache.INDEX).read_text())
    (folder / cache.INDEX).write_text(json.dumps(index | {"labels": [7] * 6}))


def damage_shape(folder: Path) -> None:
    index = json.loads((folder / cache.INDEX).read_text())
    (folder / cache.INDEX).write_text(json.dumps(index | {"shape": [6, 3, -16, -16]}))


def damage_type(folder: Path) -> None:
    (folder / cache.INDEX).write_text("[]")


def damage_gone(folder: Path) -> None:
    (folder / cache.IMAGES).unlink()


@pytest.mark.parametrize(
    "damage",
    [damage_short, damage_flip, damage_json, damage_labels, damage_shape, damage_type, damage_gone],
)
def test_that_a_damaged_cache_is_rebuilt(
    damage: Callable[[Path], None], photos: Path, store: Path, no_decoding: Callable[[], None]
) -> None:
    before = load(spec_of(photos), store)
    (folder,) = store.iterdir()
    damage(folder)
    assert same(load(spec_of(photos), store), before)
    no_decoding()
    assert same(load(spec_of(photos), store), before)


def test_that_a_cache_that_cannot_be_written_does_not_stop_anything(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = load(spec_of(photos), tmp_path / "file")
    assert same(found, load(spec_of(photos), tmp_path / "good"))
    assert found.images.flags.writeable


@pytest.mark.parametrize("step", ["write_index", "publish", "keep_one_channel"])
def test_that_a_disk_that_fills_up_does_not_stop_anything(
    step: str, photos: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in photos.rglob("*.png"):
        Image.open(path).convert("L").save(path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, step, full)
    found = load(spec_of(photos), store)
    assert (found.count, found.channels) == (6, 1)
    assert list(store.iterdir()) == []


def test_that_a_large_set_is_mapped_and_equal(
    photos: Path, store: Path, monkeypatch: pytest.MonkeyPatch, no_decoding: Callable[[], None]
) -> None:
    small = load(spec_of(photos), store)
    shutil.rmtree(store)
    monkeypatch.setattr(cache, "IN_MEMORY", 1000)
    mapped = load(spec_of(photos), store)
    assert isinstance(mapped.images, np.memmap)
    assert same(mapped, small)
    mapped.images[0] = 0  # stays in memory
    no_decoding()
    assert same(load(spec_of(photos), store), small)


def test_that_some_images_of_a_map_are_a_map_and_no_file_stays(
    photos: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, numbers = load(spec_of(photos), store), np.array([4, 0, 5])
    monkeypatch.setattr(cache, "IN_MEMORY", 1000)
    monkeypatch.setattr("diffusion_studio.data.imageset._CHUNK", 1)
    mapped, files = load(spec_of(photos), store), set(store.rglob("*"))
    some = mapped.some(numbers)
    assert isinstance(some.images, np.memmap)
    assert set(store.rglob("*")) == files
    assert some.fingerprint == small.some(numbers).fingerprint
    assert some.fingerprint == fingerprint_of(mapped.images, some.labels, some.class_names, numbers)


def test_that_the_sets_used_last_are_kept(photos: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, resolution in enumerate((4, 8, 12)):
        load(spec_of(photos, resolution=resolution), store)
        for index in store.glob("*/index.json"):
            if index.stat().st_mtime > 1000:
                os.utime(index, (100 + number, 100 + number))
    folders = {json.loads(p.read_text())["shape"][2]: p.parent for p in store.glob("*/index.json")}
    load(spec_of(photos, resolution=4), store)  # used again
    (store / "tmp-fresh").mkdir()
    (store / "tmp-old").mkdir()
    os.utime(store / "tmp-old", (1, 1))
    size = sum(path.stat().st_size for side in (4, 8) for path in folders[side].iterdir())
    monkeypatch.setattr(cache, "LEAST", size)
    monkeypatch.setattr(cache, "ROOM", 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    cache.prune(store, keep=folders[8])
    assert set(store.iterdir()) == {folders[4], folders[8], store / "tmp-fresh"}


GB, DAY = 10**9, 24 * 3600.0
SMALL, BIG, LATE = Path("small"), Path("big"), Path("late")


@pytest.mark.parametrize(
    ("free", "needed", "keep", "gone"),
    [
        (100 * GB, 0, None, []),  # a large disk: all have room
        (13 * GB, 0, None, []),  # just so
        (12 * GB, 0, None, [SMALL]),  # more than half, so what was unused for weeks goes
        (2 * GB, 0, None, [SMALL]),  # and nothing that was used this week
        (0, 0, None, [SMALL, BIG]),  # a full disk
        (0, 0, BIG, [SMALL, LATE]),
        (100 * GB, 100 * GB, None, [SMALL, BIG]),  # or one that will be
        (100 * GB, 999 * GB, None, []),  # nothing helps
    ],
)
def test_that_sets_go_where_the_disk_has_no_room_for_them(
    free: int, needed: int, keep: Path | None, gone: list[Path]
) -> None:
    now = 100 * DAY
    kept = [(now, LATE, GB // 2), (now - 30 * DAY, SMALL, GB // 5), (now - 6 * DAY, BIG, 123 * GB // 10)]
    assert [*cache.leaving(kept, free, now, keep, needed)] == gone


def test_that_five_gigabytes_may_be_kept_on_a_small_disk() -> None:
    kept = [(0.0, SMALL, 2 * GB), (1.0, BIG, 3 * GB)]
    assert [*cache.leaving(kept, 2 * GB, 99 * DAY)] == []
    assert [*cache.leaving([*kept, (2.0, LATE, 3 * GB)], 2 * GB, 99 * DAY)] == [SMALL, BIG]


def test_that_a_set_that_another_process_has_published_stays(photos: Path, store: Path) -> None:
    before = load(spec_of(photos), store)
    (final,) = store.iterdir()
    draft = store / "tmp-late"
    shutil.copytree(final, draft)
    (draft / "later").touch()
    cache.publish(draft, final)
    assert not (final / "later").exists()
    damage_short(final)
    cache.publish(draft, final)
    assert (final / "later").exists()
    assert same(load(spec_of(photos), store), before)


def test_that_grey_is_found_by_the_pixels(photos: Path, store: Path) -> None:
    for number, path in enumerate(sorted(photos.rglob("*.png"))):
        grey = Image.open(path).convert("L")
        (grey.convert("RGB") if number % 2 else grey).save(path)
    found = load(spec_of(photos), store)
    assert found.images.shape == (6, 1, 16, 16)
    assert np.array_equal(found.images, load(spec_of(photos, channels=1), store).images)
    assert same(load(spec_of(photos), store), found)
    threefold = load(spec_of(photos, channels=3), store)
    assert np.array_equal(threefold.images, found.images.repeat(3, axis=1))


def test_that_metadata_names_the_classes(photos: Path, store: Path) -> None:
    rows = "file_name,label\na/1.png,10\na/3.png,9\nb/0.png,10\n"
    (photos / "metadata.csv").write_text(rows)
    found = load(spec_of(photos), store)
    assert found.class_names == ("9", "10")
    assert found.labels.tolist() == [1, 0, -1, 1, -1, -1]
    assert found.unlabelled == 3
    assert found.skipped == ()


def test_that_other_files_are_listed_and_a_folder_with_images_is_not(photos: Path, store: Path) -> None:
    (photos / "notes.txt").write_text("hello")
    (photos / "a").rename(photos / "a.png")
    found = load(spec_of(photos), store)
    assert found.skipped == (Skipped("notes.txt", "It is not an image.", other=True),)
    assert found.class_names == ("a.png", "b")


def test_that_a_folder_without_images_is_said_in_a_sentence(tmp_path: Path, store: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(DataError, match=r"There is no image in the folder .*x: it is empty"):
        load(spec_of(tmp_path / "x"), store)
    (tmp_path / "x" / "b.png").write_bytes(b"")
    (tmp_path / "x" / "a.png").mkdir()
    with pytest.raises(DataError, match=r"2 files were skipped, first a\.png: It is a folder, not"):
        load(spec_of(tmp_path / "x"), store)
    assert not any(store.iterdir())


def test_that_an_unknown_home_is_said_in_a_sentence(store: Path) -> None:
    with pytest.raises(DataError):
        load(DataSpec(source="~nobody-of-this-name/photos"), store)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems want names in Unicode")
def test_that_names_in_another_encoding_are_kept(photos: Path, store: Path) -> None:
    name = os.fsdecode(b"gr\xfc\xdfe.png")
    (photos / "a" / "1.png").rename(photos / "a" / name)
    (photos / "a" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    for _ in range(2):
        found = load(spec_of(photos), store)
        assert f"a/{name}" in found.files
        json.dumps(found.manifest(), ensure_ascii=False).encode("utf-8")
    for path in photos.rglob("?.png"):
        path.unlink()
    (photos / "a" / name).unlink()
    with pytest.raises(DataError) as caught:
        load(spec_of(photos), store)
    str(caught.value).encode("utf-8")


def after(count: int) -> Callable[[], bool]:
    """Becomes true when it was asked so often."""
    asked = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > count

    return cancelled


def test_that_a_cancelled_reading_goes_on_where_it_was(
    photos: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "a" / "broken.png").write_bytes(b"")
    whole = load(spec_of(photos), store.with_name("other"))
    before = threading.active_count()
    with pytest.raises(Cancelled):
        load(spec_of(photos), store, cancelled=after(7))  # three of them while the folders are walked
    assert threading.active_count() == before
    decode, read = loading.decode, []

    def counted(path: Path, frame: object) -> object:
        read.append(path.name)
        return decode(path, frame)

    monkeypatch.setattr(loading, "decode", counted)
    seen: list[tuple[int, int]] = []
    found = load(spec_of(photos), store, progress=lambda *step: seen.append(step))
    assert len(read) == 3
    assert seen[-1] == (7, 7)
    assert np.array_equal(found.images, whole.images)
    assert (found.files, found.skipped, found.fingerprint) == (whole.files, whole.skipped, whole.fingerprint)
    assert [folder.name for folder in store.iterdir() if folder.is_dir()] == [
        folder.name for folder in store.with_name("other").iterdir() if folder.is_dir()
    ]


def copying(store: Path, to: Path, at: int) -> Callable[[], bool]:
    """What a killed process leaves on disk when it was asked so often."""
    asked = []

    def cancelled() -> bool:
        asked.append(1)
        if len(asked) == at:
            shutil.copytree(store, to)
        return False

    return cancelled


@pytest.mark.parametrize("half", [b"", b'{"files": ["b/0'])
@pytest.mark.parametrize(("done", "known"), [(1, 0), (3, 2), (6, 6)])
def test_that_a_reading_that_was_killed_goes_on_from_its_last_note(
    done: int, known: int, half: bytes, photos: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "a" / "broken.png").write_bytes(b"")
    monkeypatch.setattr(loading, "_NOTE_EVERY", 2)
    left = store.with_name("left")
    whole = load(spec_of(photos), store, cancelled=copying(store, left, 4 + done))
    for note in left.glob(f"tmp-*/{NOTE}"):
        note.write_bytes(note.read_bytes() + half)
    decode, read = loading.decode, []

    def counted(path: Path, frame: object) -> object:
        read.append(path.name)
        return decode(path, frame)

    monkeypatch.setattr(loading, "decode", counted)
    assert same(load(spec_of(photos), left), whole)
    assert len(read) == 7 - known
    assert not [*left.glob("tmp-*")]


def test_that_a_disk_that_fills_up_in_the_middle_is_left_as_it_was(
    photos: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_NOTE_EVERY", 2)
    record, read = loading._record, []

    def full(*given: object) -> None:
        read.append(1)
        if len(read) == 4:
            raise OSError(28, "No space left on device")
        record(*given)

    monkeypatch.setattr(loading, "_record", full)
    assert load(spec_of(photos), store).count == 6
    assert [*store.iterdir()] == []


def test_that_what_was_read_last_is_known_before_the_folder_is_gone_through(
    photos: Path, store: Path
) -> None:
    known: list[ImageSet] = []
    first = load(spec_of(photos), store, known=known.append)
    assert known == []
    load(spec_of(photos, resolution=8), store)  # is another question
    again = load(spec_of(photos), store, known=known.append)
    assert known == [again]
    assert same(again, first)
    (photos / "a" / "1.png").unlink()
    changed = load(spec_of(photos), store, known=known.append)
    assert same(known[-1], first)
    assert changed.count == 5
    with pytest.raises(Cancelled):
        load(spec_of(photos), store, cancelled=lambda: True, known=known.append)
    assert same(known[-1], changed)


@pytest.mark.parametrize("damage", [b"{}", None])
def test_that_a_damaged_or_lost_set_is_not_known(photos: Path, store: Path, damage: bytes | None) -> None:
    first = load(spec_of(photos), store)
    (index,) = store.glob("*/index.json")
    if damage is None:
        shutil.rmtree(photos)
    else:
        index.write_bytes(damage)
    known: list[ImageSet] = []
    with contextlib.suppress(DataError):
        assert same(load(spec_of(photos), store, known=known.append), first)
    assert known == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"files": ["x"], "sizes": [], "skipped": []}'])
def test_that_a_damaged_note_of_a_cancelled_reading_is_passed_over(
    content: bytes, photos: Path, store: Path
) -> None:
    whole = load(spec_of(photos), store.with_name("other"))
    with pytest.raises(Cancelled):
        load(spec_of(photos), store, cancelled=after(6))
    (note,) = store.glob(f"tmp-*/{NOTE}")
    note.write_bytes(content)
    assert load(spec_of(photos), store).fingerprint == whole.fingerprint


def test_that_pixels_missing_of_a_cancelled_reading_are_read_again(photos: Path, store: Path) -> None:
    whole = load(spec_of(photos), store.with_name("other"))
    with pytest.raises(Cancelled):
        load(spec_of(photos), store, cancelled=after(6))
    (pixels,) = store.glob(f"tmp-*/{cache.IMAGES}")
    pixels.write_bytes(pixels.read_bytes()[:-1])
    assert load(spec_of(photos), store).fingerprint == whole.fingerprint


def test_that_two_readings_at_once_do_not_share_a_draft(store: Path) -> None:
    with cache.draft(store, "key") as one, cache.draft(store, "key") as other:
        assert one != other
    assert not one.exists()
    assert not other.exists()


def test_that_progress_ends_with_everything(photos: Path, store: Path) -> None:
    seen: list[tuple[int, int]] = []
    (photos / "broken.png").write_bytes(b"")
    load(spec_of(photos), store, progress=lambda *step: seen.append(step))
    assert seen[-1] == (7, 7)
    assert seen == sorted(set(seen))
    load(spec_of(photos), store, progress=lambda *step: seen.append(step))
    assert seen[-1] == (6, 6)


def test_that_the_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    source = load_digits()
    found = load(DataSpec())
    assert found.images.shape == (1797, 1, 8, 8)
    assert np.array_equal(np.rint(found.images[:, 0] / 255 * 16), source.images)
    assert (found.images.min(), found.images.max()) == (0, 255)
    assert np.array_equal(found.labels, source.target)
    assert found.class_names == tuple("0123456789")
    assert found.count == len(set(found.files))
    assert (found.source, found.skipped) == ("digits", ())


def test_that_digits_come_in_every_shape() -> None:
    small = load(DataSpec()).images
    large = load(DataSpec(resolution=16, channels=3)).images
    assert np.array_equal(large, small.repeat(2, 2).repeat(2, 3).repeat(3, 1))
    assert load(DataSpec(resolution=12)).images.shape == (1797, 1, 12, 12)
    assert load(DataSpec(resolution=4)).images.shape == (1797, 1, 4, 4)


def test_that_the_cache_lies_in_the_users_own_folder() -> None:
    assert loading.default_cache_dir().parts[-2:] == ("diffusion-studio", "images")


def test_that_a_folder_is_known_again_whatever_the_words_for_what_was_left_out(tmp_path: Path) -> None:
    """They are those of the language that was spoken when it was read."""
    listed = [
        Listing(tmp_path, (), (), (), (Skipped("gone.png", reason),))
        for reason in ("It is not a regular file.", "Es ist keine gewöhnliche Datei.")
    ]
    assert len({cache_key(spec_of(tmp_path), listing) for listing in listed}) == 1


def refusing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As where a person may not read a file."""
    decode = loading.decode

    def refused(path: Path, frame: loading.Frame) -> object:
        if path.name == name:
            raise BadImage("The file cannot be read: permission denied.", passing=True)
        return decode(path, frame)

    monkeypatch.setattr(loading, "decode", refused)


def test_that_a_file_that_the_system_did_not_give_is_read_when_it_does(
    photos: Path, store: Path, monkeypatch: pytest.MonkeyPatch, no_decoding: Callable[[], None]
) -> None:
    with monkeypatch.context() as patch:
        refusing(patch, "1.png")
        (skipped,) = load(spec_of(photos), store).skipped
    assert skipped.passing and skipped.file == "a/1.png"
    with monkeypatch.context() as patch:  # it is still not given: nothing is read again
        patch.setattr("diffusion_studio.data.scan._is_given", lambda path: False)
        patch.setattr(loading, "decode", None)
        assert load(spec_of(photos), store).skipped == (skipped,)
    found = load(spec_of(photos), store)
    assert (found.count, found.skipped) == (6, ())
    no_decoding()
    assert same(load(spec_of(photos), store), found)


def test_that_labels_that_the_system_did_not_give_are_read_when_it_does(
    photos: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "metadata.csv").write_text("file_name,label\na/1.png,x\nb/0.png,y\n")

    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("diffusion_studio.data.metadata._text", refused)
        assert load(spec_of(photos), store).class_names == ("a", "b")
    assert load(spec_of(photos), store).class_names == ("x", "y")


def test_that_a_reading_goes_on_with_what_the_system_did_not_give(
    photos: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        refusing(patch, "1.png")
        with pytest.raises(Cancelled):
            load(spec_of(photos), store, cancelled=after(8))
    assert load(spec_of(photos), store).count == 6


@pytest.mark.parametrize("how", ["gone", "another drive"])
def test_that_a_folder_that_goes_away_while_it_is_read_is_said_and_reading_goes_on_there(
    how: str, photos: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, away, read = loading.decode, photos.with_name("away"), []

    def going(path: Path, frame: loading.Frame) -> object:
        if path.name == "0.png" and how == "gone":
            photos.rename(away)
        if how != "gone" or away.exists():
            raise BadImage("The file cannot be read: no such file or directory.", passing=True)
        return decode(path, frame)

    def counted(path: Path, frame: loading.Frame) -> object:
        read.append(path.name)
        return decode(path, frame)

    monkeypatch.setattr(loading.os, "cpu_count", lambda: 1)
    with monkeypatch.context() as patch:
        patch.setattr(loading, "decode", going)
        if how != "gone":
            patch.setattr(loading, "scan", lambda *_: replace(scan(photos), device=-1))
        with pytest.raises(FolderGoneError, match="went away while its images were read"):
            load(spec_of(photos), store)
    if how == "gone":
        away.rename(photos)
    monkeypatch.setattr(loading, "decode", counted)
    assert load(spec_of(photos), store).count == 6
    assert len(read) == (3 if how == "gone" else 6)  # a/1, a/3 and a/5 were read before

"""Decoded images on disk: one folder per data set, named by what was asked for and by a key of all that went
into it.

A folder holds `images.raw` (uint8, N x C x H x W, nothing else) and `index.json`. It is filled under another
name and renamed, so a half-written one is never found. Whatever is wrong with one makes it count as absent.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import filelock
import numpy as np
from numpy.typing import NDArray

from diffusion_studio.data.errors import Cancelled, DataError, FolderGoneError
from diffusion_studio.data.imageset import ImageSet, Skipped, UInt8

VERSION = 10  # of the layout and of the way images are decoded
LEAST = 5 * 2**30  # bytes that a cache may take, however large its disk is
ROOM = 2**30  # bytes that are left to others on a disk that is full
RECENT = 7 * 24 * 3600.0  # seconds: what was used since then stays, as far as there is room
IN_MEMORY = 2**30  # bytes up to which a set is read into memory
MOST_INDEX = 2**30  # bytes: names of some millions of images
IMAGES, INDEX = "images.raw", "index.json"
NOTE = "unfinished.json"  # beside the pixels: how far a reading came that was cancelled or killed
_TEMPORARY = "tmp-"
_STALE_SECONDS = 24 * 3600.0


def read(folder: Path, name: str, source: str) -> ImageSet | None:
    """The set stored in `folder`, or None if there is none or it is damaged."""
    try:
        index = json.loads(_text(folder / INDEX))
        found = _assemble(folder / IMAGES, index, name, source)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
    with contextlib.suppress(OSError):
        os.utime(folder / INDEX)  # the time of last use, for pruning
    return found


def newest(root: Path, pattern: str) -> Path | None:
    """The set with such a name that was used last, if there is one."""
    found: list[tuple[float, Path]] = []
    with contextlib.suppress(OSError):
        for folder in root.glob(pattern):
            with contextlib.suppress(OSError):
                found.append(((folder / INDEX).stat().st_mtime, folder))
    return max(found)[1] if found else None


def _text(path: Path) -> bytes:
    """Raises ValueError where it is no regular file (a pipe would wait for ever) or one beyond all reason."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_INDEX:
        raise ValueError("this is no index")
    return path.read_bytes()


def _assemble(path: Path, index: dict[str, Any], name: str, source: str) -> ImageSet:
    """Raises ValueError, KeyError or TypeError where the parts do not agree."""
    images = map_images(path, tuple(index["shape"]))
    labels = np.array(index["labels"], dtype=np.int64)
    class_names = tuple(map(str, index["class_names"]))
    count = len(images)
    if labels.shape != (count,) or len(index["files"]) != count or index["version"] != VERSION:
        raise ValueError("the index does not fit the images")
    if count == 0 or labels.min() < -1 or labels.max() >= len(class_names):
        raise ValueError("a label is out of range")
    if not isinstance(images, np.memmap) and zlib.crc32(images.data) != index["crc32"]:
        raise ValueError("the images are damaged")
    return ImageSet(
        images=images,
        labels=labels,
        class_names=class_names,
        files=tuple(map(str, index["files"])),
        skipped=tuple(
            Skipped(str(file), str(reason), bool(other), bool(passing))
            for file, reason, other, passing in index["skipped"]
        ),
        name=name,
        source=source,
        sizes=np.array(index["sizes"], dtype=np.int32).reshape(count, 2),
        known_fingerprint=str(index["fingerprint"]),
        how=str(index["how"]),
        notes=tuple(map(str, index["notes"])),
        apart=int(index["apart"]),
    )


def map_images(path: Path, shape: tuple[int, ...]) -> UInt8:
    """The images in a raw file: in memory, or as a copy-on-write map above `IN_MEMORY` bytes.

    Raises:
        ValueError: the file has not the size of that shape.
        OSError: it cannot be read.
    """
    size = int(np.prod(shape, dtype=np.int64))
    if len(shape) != 4 or min(shape) < 1 or path.stat().st_size != size:
        raise ValueError("the images have another size than the index says")
    if size > IN_MEMORY:
        return np.memmap(path, np.uint8, "c", shape=shape)
    return np.fromfile(path, np.uint8).reshape(shape)


@contextlib.contextmanager
def draft(root: Path, key: str) -> Iterator[Path]:
    """A folder in the cache to be filled, removed at the end unless `publish` has renamed it.

    One that holds a `NOTE` stays for the next of the same key. While another program fills that
    one, it is a folder of its own.

    Raises:
        OSError: the cache cannot be written.
    """
    root.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        lock = root / f"{_TEMPORARY}{key}.lock"
        try:
            held.enter_context(filelock.FileLock(lock, timeout=0))
            held.callback(_unlink, lock)  # before it is let go
        except (filelock.Timeout, NotImplementedError):  # the second: a file system without locks
            key = uuid.uuid4().hex
        folder = root / f"{_TEMPORARY}{key}"
        folder.mkdir(exist_ok=True)
        try:
            os.utime(folder)  # one that is taken up again is not abandoned
            yield folder
        finally:
            if not (folder / NOTE).exists():
                shutil.rmtree(folder, ignore_errors=True)


def write_index(folder: Path, images: ImageSet) -> None:
    """Write the index beside the images in `folder`.

    Raises:
        OSError: the cache cannot be written.
    """
    text = json.dumps(_index(images), separators=(",", ":"))  # plain ASCII, whatever the file names hold
    with (folder / INDEX).open("w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def publish(folder: Path, final: Path) -> None:
    """Give a finished draft its name, in place of a damaged set of that name; a whole one stays.

    Raises:
        OSError: the cache cannot be written, or another program holds the old set.
    """
    if read(final, "", "") is not None:  # another process was faster, and perhaps it is in use
        return
    shutil.rmtree(final, ignore_errors=True)
    folder.rename(final)


def _index(images: ImageSet) -> dict[str, Any]:
    large = isinstance(images.images, np.memmap)
    return {
        "version": VERSION,
        "shape": list(images.images.shape),
        "crc32": None if large else zlib.crc32(images.images.data),
        "fingerprint": images.fingerprint,
        "class_names": list(images.class_names),
        "labels": images.labels.tolist(),
        "files": list(images.files),
        "sizes": images.sizes.tolist(),
        "skipped": [[s.file, s.reason, s.other, s.passing] for s in images.skipped],
        "how": images.how,
        "notes": list(images.notes),
        "apart": images.apart,
    }


Kept = tuple[float, Path, int]  # when it was used last, where it is, its bytes


def prune(root: Path, keep: Path | None = None, needed: int = 0) -> None:
    """Remove abandoned drafts, and the sets that have to go.

    What cannot be removed (another program holds it) is left.
    """
    with contextlib.suppress(OSError):
        sets, free = _sets(root), shutil.disk_usage(root).free
        for folder in leaving(sets, free, time.time(), keep, needed):
            shutil.rmtree(folder, ignore_errors=True)


def leaving(
    kept: list[Kept], free: int, now: float, keep: Path | None = None, needed: int = 0
) -> Iterator[Path]:
    """What of a cache has to go, the part unused for longest first.

    A cache may take `LEAST` bytes, or half of what is free and its own where that is more. What was used
    lately goes only where the disk is full: `ROOM` is not free any more, nor as much as the cache takes.

    Args:
        free: bytes of the disk.
        keep: stays.
        needed: bytes that are about to be written; nothing goes for what does not fit the disk anyway.
    """
    taken = sum(size for _, _, size in kept)
    left = free - needed if needed <= free + taken else free
    for used, path, size in sorted(kept):
        is_full, is_old = left < min(ROOM, taken), now - used > RECENT
        if path != keep and (is_full or (is_old and taken > max(LEAST, (left + taken) // 2))):
            yield path
            left, taken = left + size, taken - size


def _sets(root: Path) -> list[Kept]:
    used: list[Kept] = []
    for folder in root.iterdir():
        with contextlib.suppress(OSError):
            if folder.name.startswith(_TEMPORARY):
                if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                    _remove(folder)
            elif (folder / INDEX).exists():
                size = sum(path.stat().st_size for path in folder.iterdir())
                used.append(((folder / INDEX).stat().st_mtime, folder, size))
    return used


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):  # Windows does it later by itself
        path.unlink()


def _remove(path: Path) -> None:
    if path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def keep_one_channel(path: Path, count: int, side: int) -> None:
    """Rewrite a raw file of three equal channels with the first one only.

    Raises:
        OSError: the cache cannot be written.
    """
    wide: NDArray[np.uint8] | None = np.memmap(path, np.uint8, "r", shape=(count, 3, side, side))
    narrow = path.with_suffix(".grey")
    with narrow.open("wb") as file:
        for start in range(0, count, 4096):
            assert wide is not None
            file.write(wide[start : start + 4096, :1].tobytes())
    wide = None  # unmapped before the file is replaced
    narrow.replace(path)


# --- a reading that was cancelled or killed ----------------------------------------------------------------


@dataclass
class Decoded:
    """What came of the files, in their order; the pixels are elsewhere."""

    files: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    grey: bool = True  # every pixel of every picture so far
    dark: int = 0  # pictures of more than eight bits that are nearly black
    brightest: int = 0  # of all pictures, 0 … 255
    clear: list[str] = field(default_factory=list)  # those of which all is transparent
    several: list[str] = field(default_factory=list)  # those that lie in a file with others

    @property
    def done(self) -> int:
        """How many files were read, well or not."""
        return len(self.files) + len(self.skipped)

    def since(self, told: dict[str, int]) -> Decoded:
        """With no more of each list than what came after so many."""
        return replace(self, **{name: getattr(self, name)[told.get(name, 0) :] for name in _LISTS})

    def add(self, new: Decoded) -> None:
        """What came after it, from `since`."""
        for name, value in vars(new).items():
            if name in _LISTS:
                getattr(self, name).extend(value)
            else:
                setattr(self, name, value)

    def told(self) -> dict[str, int]:
        """How much there is of each list."""
        return {name: len(getattr(self, name)) for name in _LISTS}


_LISTS = ("files", "sizes", "skipped", "clear", "several")


@contextlib.contextmanager
def noted(folder: Path, decoded: Decoded, pixels: BinaryIO) -> Iterator[Callable[[], None]]:
    """A reading into a folder; what it gives notes how far the reading has come, and can be called often.

    Raises:
        OSError: it cannot be written.
    """
    note = _Note(folder, decoded, pixels)
    try:
        yield note.keep
    except (Cancelled, FolderGoneError, KeyboardInterrupt):
        note.keep()
        raise
    except (OSError, DataError):
        note.forget()
        raise
    pixels.flush()
    os.fsync(pixels.fileno())
    note.forget()


class _Note:
    """A line for each time, of what was new then: a million names are not written again and again."""

    def __init__(self, folder: Path, decoded: Decoded, pixels: BinaryIO) -> None:
        self._folder, self._decoded, self._pixels = folder, decoded, pixels
        self._told: dict[str, int] = {}  # nothing: the first line is of all, in place of older lines

    def keep(self) -> None:
        self._pixels.flush()
        os.fsync(self._pixels.fileno())  # never less than what is noted
        path = self._folder / (NOTE if self._told else f"{NOTE}.draft")
        with path.open("a" if self._told else "w", encoding="ascii") as file:
            json.dump(asdict(self._decoded.since(self._told)), file)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        if not self._told:
            path.replace(self._folder / NOTE)
        self._told = self._decoded.told()
        os.utime(self._folder)  # it is not abandoned

    def forget(self) -> None:
        (self._folder / NOTE).unlink(missing_ok=True)


def taken_up(folder: Path, pixels: Path, each: int) -> Decoded:
    """What an earlier reading has come to, and no more pixels than that; nothing, if it cannot be used.

    Args:
        pixels: the file of all pictures, one after another.
        each: bytes of a picture.
    """
    try:
        with pixels.open("r+b") as file:
            found = _noted(folder / NOTE, os.fstat(file.fileno()).st_size // each)
            file.truncate(each * len(found.files))
            return found
    except OSError:
        pixels.write_bytes(b"")
        return Decoded()


def _noted(note: Path, pictures: int) -> Decoded:
    """What its lines say up to one that is damaged, lacks pictures, or names files that were not given.

    Raises:
        OSError: there is none.
    """
    found = Decoded()
    with note.open("rb") as lines, contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        for line in lines:
            new = _decoded(json.loads(line))
            if len(found.files) + len(new.files) > pictures or any(s.passing for s in new.skipped):
                break
            found.add(new)
    return found


def _decoded(said: dict[str, Any]) -> Decoded:
    """Raises ValueError, KeyError or TypeError where it is no such note."""
    files = [str(file) for file in said["files"]]
    sizes = [(int(width), int(height)) for width, height in said["sizes"]]
    skipped = [
        Skipped(str(e["file"]), str(e["reason"]), bool(e["other"]), bool(e["passing"]))
        for e in said["skipped"]
    ]
    if len(files) != len(sizes):
        raise ValueError("the note is damaged")
    clear, several = ([str(file) for file in said[key]] for key in ("clear", "several"))
    return Decoded(
        files, sizes, skipped, bool(said["grey"]), int(said["dark"]), int(said["brightest"]), clear, several
    )

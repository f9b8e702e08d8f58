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
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from numpy.typing import NDArray

from diffusion_studio.data.imageset import ImageSet, Skipped, UInt8

VERSION = 8  # of the layout and of the way images are decoded
CAPACITY = 5 * 2**30  # bytes kept in all
IN_MEMORY = 2**30  # bytes up to which a set is read into memory
MOST_INDEX = 2**30  # bytes: names of some millions of images
IMAGES, INDEX = "images.raw", "index.json"
NOTE = "unfinished.json"  # beside the pixels: how far a reading came that was cancelled
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


def newest(root: Path, about: str) -> Path | None:
    """The set whose name begins with `about` that was used last, if there is one."""
    found: list[tuple[float, Path]] = []
    with contextlib.suppress(OSError):
        for folder in root.glob(f"{about}-*"):
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
            Skipped(str(file), str(reason), bool(other)) for file, reason, other in index["skipped"]
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
    """Give a finished draft its name, in place of a damaged set of that name.

    Raises:
        OSError: the cache cannot be written, or another program holds the old set.
    """
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
        "skipped": [[s.file, s.reason, s.other] for s in images.skipped],
        "how": images.how,
        "notes": list(images.notes),
        "apart": images.apart,
    }


def prune(root: Path, keep: Path, capacity: int | None = None) -> None:
    """Remove abandoned drafts, and the sets unused for longest until the rest fits `capacity` bytes.

    `keep` stays. What cannot be removed (another program holds it) is left.
    """
    allowed = CAPACITY if capacity is None else capacity
    with contextlib.suppress(OSError):
        for folder, size in _by_last_use(root):
            allowed -= size
            if allowed < 0 and folder != keep:
                shutil.rmtree(folder, ignore_errors=True)


def _by_last_use(root: Path) -> list[tuple[Path, int]]:
    """Each set with its bytes, the one used last first."""
    used: list[tuple[float, Path, int]] = []
    for folder in root.iterdir():
        with contextlib.suppress(OSError):
            if folder.name.startswith(_TEMPORARY):
                if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                    _remove(folder)
            elif (folder / INDEX).exists():
                size = sum(path.stat().st_size for path in folder.iterdir())
                used.append(((folder / INDEX).stat().st_mtime, folder, size))
    return [(folder, size) for _, folder, size in sorted(used, reverse=True)]


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


# --- a reading that was cancelled --------------------------------------------------------------------------


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


def keep_note(folder: Path, decoded: Decoded) -> None:
    """Notes how far a reading has come, whose pixels are on disk.

    Raises:
        OSError: it cannot be written.
    """
    draft = folder / f"{NOTE}.draft"
    with draft.open("w", encoding="ascii") as file:
        json.dump(asdict(decoded), file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / NOTE)


def taken_up(folder: Path, pixels: Path, each: int) -> Decoded:
    """What an earlier reading has come to, and no more pixels than that; nothing, if it cannot be used.

    Args:
        pixels: the file of all pictures, one after another.
        each: bytes of a picture.
    """
    try:
        found = _decoded(json.loads((folder / NOTE).read_bytes()))
        with pixels.open("r+b") as file:
            if os.fstat(file.fileno()).st_size >= each * len(found.files):
                file.truncate(each * len(found.files))
                return found
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    pixels.write_bytes(b"")
    return Decoded()


def _decoded(said: dict[str, Any]) -> Decoded:
    """Raises ValueError, KeyError or TypeError where it is no such note."""
    files = [str(file) for file in said["files"]]
    sizes = [(int(width), int(height)) for width, height in said["sizes"]]
    skipped = [Skipped(str(e["file"]), str(e["reason"]), bool(e["other"])) for e in said["skipped"]]
    if len(files) != len(sizes):
        raise ValueError("the note is damaged")
    clear, several = ([str(file) for file in said[key]] for key in ("clear", "several"))
    return Decoded(
        files, sizes, skipped, bool(said["grey"]), int(said["dark"]), int(said["brightest"]), clear, several
    )

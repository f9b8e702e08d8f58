"""The images in memory, with their labels and the report of what was left out."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

UInt8 = NDArray[np.uint8]
COLOURS = (1, 3)  # channels that are seen as one picture: grey, and red, green, blue
_CHUNK = 1 << 24  # bytes read at a time

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Skipped:
    """A file or folder that was not used, and why, as a sentence."""

    file: str
    reason: str
    other: bool = False  # it does not even look like an image
    passing: bool = False  # the system did not give it, which it may do another time


def _no_sizes() -> NDArray[np.int32]:
    return np.zeros((0, 2), np.int32)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one shape with their labels.

    `images` is a memory map when the set is large. It is mapped copy-on-write, so that arrays made from it
    can be handed to torch; nothing written to it reaches the disk.
    A label is an index into `class_names`, or -1 for an image without one: such an image serves
    unconditional training only.
    """

    images: UInt8  # (N, C, H, W)
    labels: NDArray[np.int64]  # (N,)
    class_names: tuple[str, ...]
    files: tuple[str, ...]  # relative to the folder, with forward slashes
    skipped: tuple[Skipped, ...]
    name: str
    source: str
    sizes: NDArray[np.int32] = field(default_factory=_no_sizes)  # (N, 2) width, height in the file
    known_fingerprint: str = ""
    how: str = ""  # how the classes were found, as a sentence
    notes: tuple[str, ...] = ()  # what a person should know about the set, in sentences
    apart: int = 0  # pictures in folders of their own that are kept apart from training

    @property
    def count(self) -> int:
        return len(self.images)

    @property
    def channels(self) -> int:
        return int(self.images.shape[1])

    @property
    def resolution(self) -> int:
        return int(self.images.shape[2])

    @property
    def classes(self) -> int:
        return len(self.class_names)

    @property
    def unlabelled(self) -> int:
        """How many images have no label."""
        return int(np.count_nonzero(self.labels < 0))

    @property
    def conditional_possible(self) -> bool:
        """Whether there are at least two classes to tell apart."""
        return self.classes >= 2

    def label_name(self, index: int) -> str | None:
        """The class name of image `index`, None where it has no label."""
        label = int(self.labels[index])
        return self.class_names[label] if label >= 0 else None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of pixels, labels and class names: equal for equal data, wherever it lies."""
        return self.known_fingerprint or fingerprint_of(self.images, self.labels, self.class_names)

    def with_classes(self, names: tuple[str, ...]) -> ImageSet:
        """The same with its classes in another order, or more of them. Pixels are shared.

        An image of a class that is not among them has no label.
        """
        if names == self.class_names:
            return self
        place = {name: number for number, name in enumerate(names)}
        moved = np.array([*(place.get(name, -1) for name in self.class_names), -1], np.int64)
        return replace(self, labels=moved[self.labels], class_names=names, known_fingerprint="")

    def some(self, numbers: NDArray[np.int64]) -> ImageSet:
        """Some of the images, in that order; those of a map are one as well."""
        return replace(
            self,
            images=_chosen(self.images, numbers),
            labels=self.labels[numbers],
            files=tuple(self.files[number] for number in numbers.tolist()),
            sizes=self.sizes[numbers] if len(self.sizes) else self.sizes,
            known_fingerprint="",
        )

    def manifest(self) -> dict[str, Any]:
        """What was used and what was skipped, ready for JSON; undecodable bytes of names stand as \\udcXX."""
        return {
            "source": printable(self.source),
            "resolution": self.resolution,
            "channels": self.channels,
            "count": self.count,
            "class_names": [printable(name) for name in self.class_names],
            "fingerprint": self.fingerprint,
            "how": self.how,
            "notes": [printable(note) for note in self.notes],
            "apart": self.apart,
            "images": [
                {"file": printable(file), "label": _printable_or_none(self.label_name(i))}
                for i, file in enumerate(self.files)
            ],
            "skipped": [{"file": printable(s.file), "reason": s.reason} for s in self.skipped],
        }


def printable(text: str) -> str:
    """`text` with everything that UTF-8 cannot hold (names in another encoding) written as an escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _printable_or_none(text: str | None) -> str | None:
    return None if text is None else printable(text)


def fingerprint_of(
    images: UInt8,
    labels: NDArray[np.int64],
    class_names: tuple[str, ...],
    numbers: NDArray[np.int64] | None = None,
) -> str:
    """SHA-256 in hexadecimal of shape, pixels, labels and class names.

    Args:
        numbers: of which of the images, in their order, as if they were all; None: all.
    """
    shape = (len(labels), *images.shape[1:])
    digest = hashlib.sha256(repr((shape, tuple(map(printable, class_names)))).encode())
    for piece in _pieces(images, numbers):
        digest.update(np.ascontiguousarray(piece).data)
    digest.update(np.ascontiguousarray(labels, dtype="<i8").data)
    return digest.hexdigest()


def _pieces(images: UInt8, numbers: NDArray[np.int64] | None = None) -> Iterator[UInt8]:
    """Some images, or all, of which only few are read at a time."""
    at_once = max(1, _CHUNK // max(math.prod(images.shape[1:]), 1))
    for start in range(0, len(images) if numbers is None else len(numbers), at_once):
        some = slice(start, start + at_once)
        yield images[some if numbers is None else numbers[some]]


def first_alike(images: UInt8) -> NDArray[np.int64]:
    """For each image the number of the first one with the same pixels: its own where there is none. (N,)"""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(each, n) for n, each in enumerate(digests(images))], np.int64)


def digests(images: UInt8) -> Iterator[bytes]:
    """One for the pixels of each image."""
    for image in images:
        yield hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def _chosen(images: UInt8, numbers: NDArray[np.int64]) -> UInt8:
    """Of a map, a nameless file beside it takes them; in memory where that has no room."""
    if not isinstance(images, np.memmap) or images.filename is None:
        return images[numbers]
    try:
        with tempfile.TemporaryFile(dir=Path(images.filename).parent) as file:
            for piece in _pieces(images, numbers):
                file.write(piece.data)
            file.flush()
            return np.memmap(file, np.uint8, "c", shape=(len(numbers), *images.shape[1:]))
    except OSError:
        return images[numbers]


def to_model_range(images: UInt8) -> NDArray[np.float32]:
    """0..255 to [-1, 1]: x / 127.5 - 1."""
    values = images.astype(np.float32)
    values /= np.float32(127.5)
    values -= np.float32(1)
    return values


def to_uint8(values: NDArray[np.floating[Any]]) -> UInt8:
    """[-1, 1] to 0..255, clipped and rounded: the inverse of `to_model_range`."""
    rounded: UInt8 = np.rint((np.clip(values, -1, 1) + 1) * 127.5).astype(np.uint8)
    return rounded


def to_pictures(values: NDArray[np.floating[Any]]) -> UInt8:
    """What the eye sees of values in [−1, 1], with `channels_beside`. (n, C, H, W) → (n, H, W′, 1 or 3)"""
    return to_uint8(channels_beside(values)).transpose(0, 2, 3, 1)


def channels_beside(values: NDArray[T]) -> NDArray[T]:
    """Grey and colour as they are; any other channels as grey maps side by side, the first one on the left.

    Args:
        values: (n, C, H, W).

    Returns:
        (n, C, H, W) where C is 1 or 3, else (n, 1, H, C · W).
    """
    n, channels, height, width = values.shape
    if channels in COLOURS:
        return values
    return values.transpose(0, 2, 1, 3).reshape(n, 1, height, channels * width)

"""A data set by its description: the digits, or a folder by way of the cache."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import platformdirs
from numpy.typing import NDArray

from diffusion_studio.core.words import plural, tr
from diffusion_studio.data import cache
from diffusion_studio.data.cache import Decoded, noted, taken_up
from diffusion_studio.data.decode import Frame, Picture, decode, native_side
from diffusion_studio.data.digits import digits
from diffusion_studio.data.errors import BadImage, Cancelled, DataError, NotAnImage
from diffusion_studio.data.formats import reason_of_other
from diffusion_studio.data.imageset import ImageSet, Skipped, UInt8, first_alike, printable
from diffusion_studio.data.labels import indices, labels_for, lost_classes, numbered, unread_tables
from diffusion_studio.data.layout import Layout, Part, layout_of, listed, twins
from diffusion_studio.data.scan import (
    Listing,
    check_folder,
    check_there,
    is_any_given,
    looks_like_image,
    scan,
)
from diffusion_studio.data.spec import DIGITS, DataSpec

Progress = Callable[[int, int], None]
NEARLY_BLACK = 16  # of 255: white of 12 bits in 16
_INTERVAL = 1 / 30  # seconds between two reports of progress
_NOTE_EVERY = 1024  # files: a reading that is killed loses no more


def load(
    spec: DataSpec,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    part: Part = "train",
    known: Callable[[ImageSet], None] | None = None,
) -> ImageSet:
    """The images that `spec` describes.

    Of a folder with splits (train, val, test) those of `part`: "train", or "apart" for all the others.
    A folder is decoded once; after that it is read from the cache until a file in it changes.
    `progress(done, total)` is called in the calling thread, at most 30 times a second and at the end; before
    the number of pictures is known with the files that were found, and 0.

    Args:
        known: is given the images as they were when they were read last, if they are in the cache, before it
            is looked whether any has changed: looking at a million files takes its time.

    Raises:
        DataError: there is nothing to use; the message is a sentence for a person.
        Cancelled: `cancelled()` became true.
    """
    stop = cancelled or (lambda: False)
    report = _throttled(progress)
    if spec.source != DIGITS:
        return _load_folder(spec, cache_dir or default_cache_dir(), report, stop, part, known)
    found = digits(spec)
    report(found.count, found.count)
    return found


def default_cache_dir() -> Path:
    """Where decoded images are kept for this user."""
    return Path(platformdirs.user_cache_dir("diffusion-studio")) / "images"


def _load_folder(
    spec: DataSpec, cache_dir: Path, progress: Progress, cancelled: Callable[[], bool], part: Part,
    known: Callable[[ImageSet], None] | None,
) -> ImageSet:  # fmt: skip
    root = _absolute(spec.source)
    check_folder(root)
    about = _about(spec, root, part)
    before = _before(cache_dir, about, root) if known is not None else None
    if known is not None and before is not None:
        known(before[1])
    listing = scan(root, cancelled, lambda found: progress(found, 0))
    if not spec.resolution:
        side = native_side([listing.root / name for name in listing.pictures], spec)
        spec = spec.model_copy(update={"resolution": side})
    key, name, source = cache_key(spec, listing, part), _name(root), str(root)
    final = cache_dir / f"{about}-{key}"
    there = cache.newest(cache_dir, f"[!t]*-{key}") or final  # also where it was asked for in other words
    found = before[1] if before and before[0] == there else cache.read(there, name, source)
    if found is not None and is_any_given(root, found.skipped):
        found = None
        shutil.rmtree(there, ignore_errors=True)
    if found is not None:
        progress(found.count, found.count)
        return found
    build = _Build(listing, spec, name, progress, cancelled, part)
    images: ImageSet | None = None
    try:
        with cache.draft(cache_dir, final.name) as folder:
            images = build.in_folder(folder)
            cache.write_index(folder, images)
            if isinstance(images.images, np.memmap):
                images = None  # unmapped before its folder is renamed
            cache.publish(folder, final)
    except OSError:
        pass  # a full or read-only disk: the images are kept in memory alone
    images = images or cache.read(final, name, source) or build.in_memory()
    cache.prune(cache_dir, keep=final)
    return images


def _before(cache_dir: Path, about: str, root: Path) -> tuple[Path, ImageSet] | None:
    """What was read last of a folder, and where it is kept; None if nothing was, or it is damaged."""
    folder = cache.newest(cache_dir, f"{about}-*")
    found = None if folder is None else cache.read(folder, _name(root), str(root))
    return None if folder is None or found is None else (folder, found)


def _name(root: Path) -> str:
    return root.name or str(root)


def _about(spec: DataSpec, root: Path, part: Part) -> str:
    """Which folder is asked for and how, whatever lies in it."""
    asked = [spec.resolution, spec.channels, spec.fit, spec.background, part, os.path.realpath(root)]
    return hashlib.sha256(json.dumps(asked).encode("ascii")).hexdigest()[:16]


def _absolute(source: str) -> Path:
    try:
        return Path(source).expanduser().absolute()
    except (OSError, RuntimeError) as error:
        raise DataError(tr("The folder {source} cannot be found.", source=source)) from error


def cache_key(spec: DataSpec, listing: Listing, part: Part = "train") -> str:
    """SHA-256 of everything that decides the decoded images: the shape wanted and what the folder holds."""
    parts = [
        [cache.VERSION, spec.side, spec.channels, spec.fit, spec.background, os.path.realpath(listing.root)],
        [[f.path, f.size, f.mtime_ns] for f in (*listing.files, *listing.metadata)],
        listing.folders_named_like_images,
        [s.file for s in listing.skipped],
        [part, listing.passed_over, listing.empty],
    ]
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()


@dataclass(frozen=True)
class _Build:
    """Decoding a folder, into a file of the cache or into memory."""

    listing: Listing
    spec: DataSpec
    name: str
    progress: Progress
    cancelled: Callable[[], bool]
    part: Part

    @cached_property
    def layout(self) -> Layout:
        return layout_of([*self.listing.pictures])

    @cached_property
    def names(self) -> list[str]:
        """The files of the part; what is no picture by its name is reported with what is trained on."""
        of_part = self.layout.part
        left_out = set(self.listing.pictures) - of_part.keys()
        names = [f.path for f in self.listing.files if f.path not in left_out]
        return [name for name in names if of_part.get(name, "train") == self.part]

    def in_folder(self, folder: Path) -> ImageSet:
        """Decode into the folder of a cache draft, from where an earlier reading was cancelled or killed.

        Raises:
            OSError: it cannot be written.
        """
        path, side = folder / cache.IMAGES, self.spec.side
        each = self._decoded_channels * side * side
        decoded = taken_up(folder, path, each)
        cache.prune(folder.parent, needed=each * (len(self.names) - decoded.done))
        with path.open("ab") as file, noted(folder, decoded, file) as note:
            self._decode_into(file, decoded, note)
        channels = self._channels(decoded)
        if channels < self._decoded_channels:
            cache.keep_one_channel(path, len(decoded.files), side)
        shape = (len(decoded.files), channels, side, side)
        return self._image_set(decoded, cache.map_images(path, shape))

    def in_memory(self) -> ImageSet:
        memory, side, decoded = io.BytesIO(), self.spec.side, Decoded()
        self._decode_into(memory, decoded, lambda: None)
        raw = np.frombuffer(memory.getbuffer(), np.uint8).reshape(-1, self._decoded_channels, side, side)
        return self._image_set(decoded, np.ascontiguousarray(raw[:, : self._channels(decoded)]))

    @property
    def _decoded_channels(self) -> int:
        return self.spec.channels or 3

    def _channels(self, decoded: Decoded) -> int:
        return self.spec.channels or (1 if decoded.grey else 3)

    def _decode_into(self, sink: BinaryIO, decoded: Decoded, note: Callable[[], None]) -> None:
        """Decode all files in order but those that are known, and append the pixels (C, H, W) of each."""
        frame = Frame(self.spec.side, self._decoded_channels, self.spec.fit, self.spec.background_rgb)
        root, names = self.listing.root, self.names
        workers, before = os.cpu_count() or 1, decoded.done
        pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        try:
            work = _in_order(pool, lambda name: _attempt(root / name, frame), names[before:], 4 * workers)
            for done, (name, outcome) in enumerate(work, start=before + 1):
                if self.cancelled():
                    raise Cancelled
                if isinstance(outcome, BadImage) and outcome.passing:
                    check_there(self.listing)
                _record(decoded, name, outcome, sink)
                self.progress(done, len(names))
                if done % _NOTE_EVERY == 0:
                    note()
        finally:
            pool.shutdown(cancel_futures=True)
        self._report_rest(decoded)

    def _report_rest(self, decoded: Decoded) -> None:
        """Add folders and special files to the report. Raises DataError if there is no picture at all."""
        for folder in self.listing.folders_named_like_images:
            if not any(file.startswith(f"{folder}/") for file in decoded.files):
                decoded.skipped.append(Skipped(folder, tr("It is a folder, not an image.")))
        decoded.skipped += self.listing.skipped
        if not decoded.files:
            raise DataError(_nothing_readable(self.listing.root, _sorted(decoded.skipped)))

    def _image_set(self, decoded: Decoded, images: UInt8) -> ImageSet:
        listing, layout = self.listing, self.layout
        every = list(dict.fromkeys([*layout.part, *decoded.files]))
        found = labels_for(listing.root, listing.metadata, every, layout)
        trained = layout.files("train") if self.part == "apart" else decoded.files
        labels, class_names = numbered(trained, found.named)
        if self.part == "apart":
            labels = indices(decoded.files, found.named, class_names)
        return ImageSet(
            images=images,
            labels=labels,
            class_names=class_names,
            files=tuple(decoded.files),
            skipped=tuple(_sorted([*decoded.skipped, *found.report])),
            name=self.name,
            source=str(listing.root),
            sizes=np.array(decoded.sizes, np.int32),
            how=found.how,
            notes=(
                *layout.notes,
                *found.notes,
                *twins(class_names),
                *(lost_classes(layout, found.named, class_names) if self.part == "train" else ()),
                *unread_tables(listing, found),
                *_at_odds(images, labels, decoded),
                *_seen(decoded, listing),
            ),
            apart=len(layout.files("apart")),
        )


def _at_odds(images: UInt8, labels: NDArray[np.int64], decoded: Decoded) -> Iterator[str]:
    """What a person should know of pictures that stand in two classes."""
    first = first_alike(images)
    again = np.flatnonzero(labels != labels[first])
    if len(again):
        one, other = (printable(decoded.files[number]) for number in (again[0], first[again[0]]))
        yield plural(
            "{n} picture has the same pixels as one of another class, first {one} as {other}.",
            "{n} pictures have the same pixels as one of another class, first {one} as {other}.",
            len(again), one=one, other=other,
        )  # fmt: skip


def _seen(decoded: Decoded, listing: Listing) -> Iterator[str]:
    """What a person should know of the pictures themselves, and of folders that were left out."""
    count = len(decoded.files)
    if decoded.dark:
        some = plural(
            "{n} of {count} pictures is nearly black", "{n} of {count} pictures are nearly black",
            decoded.dark, count=count,
        )  # fmt: skip
        yield tr(
            "{what}: perhaps 12-bit data in 16-bit files, which use a sixteenth of the range. Stretch them "
            "before they are trained on.",
            what=tr("The picture is nearly black") if count == decoded.dark == 1 else some,
        )
    elif count and decoded.brightest <= NEARLY_BLACK:
        yield tr(
            "All pictures are nearly black: their brightest value is {brightest} of 255.",
            brightest=decoded.brightest,
        )
    if decoded.clear:
        yield plural(
            "{n} picture is transparent everywhere, so only the background shows: {name}.",
            "{n} pictures are transparent everywhere, so only the background shows, first {name}.",
            len(decoded.clear), name=printable(decoded.clear[0]),
        )  # fmt: skip
    if decoded.several:
        yield plural(
            "{n} file holds several pictures, of which the first is used: {name}.",
            "{n} files hold several pictures, of which the first is used: {name} is one of them.",
            len(decoded.several), name=printable(decoded.several[0]),
        )  # fmt: skip
    if listing.empty:
        names = listed([printable(name) for name in listing.empty])
        yield plural("{names} is empty.", "{names} are empty.", len(listing.empty), names=names)
    kinds = sorted({path.rpartition("/")[2] for path in listing.passed_over})
    if kinds:
        number, names = len(listing.passed_over), listed(kinds)
        yield plural(
            "Passed over: {names} ({n} folder).", "Passed over: {names} ({n} folders).", number, names=names
        )


def _attempt(path: Path, frame: Frame) -> Picture | BadImage:
    try:
        return decode(path, frame)
    except BadImage as error:
        return error


def _record(decoded: Decoded, name: str, outcome: Picture | BadImage, sink: BinaryIO) -> None:
    if isinstance(outcome, BadImage):
        plain = isinstance(outcome, NotAnImage) and not looks_like_image(name)
        reason = reason_of_other(outcome.reason, name) if plain else outcome.reason
        decoded.skipped.append(Skipped(name, reason, plain, outcome.passing))
        return
    pixels = outcome.pixels  # (H, W, C)
    sink.write(pixels.transpose(2, 0, 1).tobytes())
    decoded.files.append(name)
    decoded.sizes.append((outcome.width, outcome.height))
    decoded.grey = decoded.grey and bool((pixels == pixels[..., :1]).all())
    decoded.dark += outcome.deep and 0 < outcome.brightest <= NEARLY_BLACK
    decoded.brightest = max(decoded.brightest, outcome.brightest)
    decoded.clear += [name] * outcome.clear
    decoded.several += [name] * outcome.several


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[str], Picture | BadImage], names: list[str], ahead: int
) -> Iterator[tuple[str, Picture | BadImage]]:
    """The outcome for each name in order, with at most `ahead` of them under way or waiting."""
    waiting: deque[tuple[str, Future[Picture | BadImage]]] = deque()
    for name in names:
        waiting.append((name, pool.submit(work, name)))
        if len(waiting) >= ahead:
            first, outcome = waiting.popleft()
            yield first, outcome.result()
    for name, outcome in waiting:
        yield name, outcome.result()


def _throttled(progress: Progress | None) -> Progress:
    last = 0.0

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if progress is not None and (now - last >= _INTERVAL or done == total):
            last = now
            progress(done, total)

    return report


def _sorted(skipped: list[Skipped]) -> list[Skipped]:
    return sorted(skipped, key=lambda s: s.file)


def _nothing_readable(root: Path, skipped: list[Skipped]) -> str:
    if not skipped:
        return tr("There is no image in the folder {root}: it is empty.", root=root)
    first = skipped[0]
    return plural(
        "There is no readable image in the folder {root}: {n} file was skipped, first {file}: {reason}",
        "There is no readable image in the folder {root}: {n} files were skipped, first {file}: {reason}",
        len(skipped),
        root=root,
        file=printable(first.file),
        reason=first.reason,
    )

"""What there is to see of a set of images before a training, and what was left out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.words import number, plural, tr, trc
from diffusion_studio.data.imageset import ImageSet, Skipped

PICTURES = 60  # shown, evenly from the whole set
LOOKED_AT = 20_000  # images at most that are compared with each other
ALIKE = 6.0  # grey levels, root mean square, below which two images are near-duplicates
SIDE = 8  # of the small picture by whose slopes candidates are found
SIZES, REASONS = 4, 6  # native sizes and reasons at most that are told one by one


@dataclass(frozen=True)
class LeftOut:
    """Files that were not used for one reason."""

    reason: str
    count: int
    example: str
    other: bool = False  # they do not even look like images

    @property
    def words(self) -> str:
        """ "2,183 other files ignored", "1 file: It is empty." """
        if self.other:
            return plural("{n} other file ignored", "{n:,} other files ignored", self.count)
        return plural("{n} file: {reason}", "{n:,} files: {reason}", self.count, reason=self.reason)


@dataclass(frozen=True, eq=False)
class Overview:
    """A set of images, in pictures and numbers."""

    name: str
    pictures: NDArray[np.uint8]  # (n, H, W, C), as the network sees them
    captions: tuple[str, ...]  # their classes, or nothing
    facts: tuple[tuple[str, str], ...]  # (what, how much)
    classes: tuple[tuple[str, int], ...]  # with their numbers of images
    left_out: tuple[LeftOut, ...]


def overview(images: ImageSet) -> Overview:
    """All of it; images are looked at few at a time."""
    numbers = np.unique(np.linspace(0, images.count - 1, PICTURES).astype(np.int64))
    names = [images.label_name(place) or "" for place in numbers.tolist()]
    counts = np.bincount(images.labels[images.labels >= 0], minlength=images.classes)
    classes = tuple(zip(images.class_names, counts.tolist(), strict=True))
    return Overview(
        images.name,
        np.ascontiguousarray(images.images[numbers].transpose(0, 2, 3, 1)),
        tuple(names) if any(names) else (),
        tuple(_facts(images, classes)),
        classes if images.conditional_possible else (),
        left_out(images.skipped),
    )


def _facts(images: ImageSet, classes: tuple[tuple[str, int], ...]) -> list[tuple[str, str]]:
    colour = tr("grey") if images.channels == 1 else tr("colour")
    side = images.resolution
    facts = [(tr("images"), number(images.count, ",")), (tr("shape here"), f"{side}×{side}, {colour}")]
    if len(images.sizes):
        facts.append((tr("in the files"), native_sizes(images.sizes)))
    if images.conditional_possible:
        facts.append((tr("balance"), balance([count for _, count in classes])))
    if images.unlabelled and images.conditional_possible:
        facts.append((tr("without a class"), number(images.unlabelled, ",")))
    found, looked_at = near_duplicates(images.images), min(images.count, LOOKED_AT)
    among = 0 if looked_at == images.count else looked_at
    return [*facts, (tr("near-duplicates"), _how_many(found, among))]


def _how_many(found: int, among: int) -> str:
    """ "3", or "3 among 20,000" where not all were looked at."""
    if not among:
        return number(found, ",") if found else trc("near-duplicates", "none")
    if found:
        return tr("{found:,} among {among:,}", found=found, among=among)
    return tr("none among {among:,}", among=among)


def native_sizes(sizes: NDArray[np.int32]) -> str:
    """ "3,700 of 64×64, 86 of 32×48": the most frequent ones, and how many more there are.

    Args:
        sizes: width and height of each file, (N, 2).
    """
    kinds, counts = np.unique(sizes, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    told = [
        tr("{count:,} of {width}×{height}", count=int(counts[k]), width=kinds[k, 0], height=kinds[k, 1])
        for k in order[:SIZES]
    ]
    more = len(order) - len(told)
    return ", ".join([*told, plural("{n} more size", "{n:,} more sizes", more)] if more else told)


def balance(counts: Sequence[int]) -> str:
    """How far the numbers of images of the classes lie apart."""
    least, most = min(counts), max(counts)
    if least == 0:
        return tr("a class without an image; {most:,} in the largest", most=most)
    if least < most:
        return tr("{least:,} to {most:,} images of a class", least=least, most=most)
    return tr("{most:,} images of each class", most=most)


def near_duplicates(images: NDArray[np.uint8]) -> int:
    """How many images look like one before them. Candidates have the same slopes in a small picture.

    Args:
        images: (N, C, H, W).
    """
    chosen = np.unique(np.linspace(0, len(images) - 1, min(len(images), LOOKED_AT)).astype(np.int64))
    seen: dict[bytes, list[int]] = {}
    found = 0
    for start in range(0, len(chosen), 1024):
        some = chosen[start : start + 1024]
        for place, key in zip(some.tolist(), _slopes(images[some]), strict=True):
            alike = seen.setdefault(key, [])
            if any(_distance(images[place], images[other]) < ALIKE for other in alike[-8:]):
                found += 1
            else:
                alike.append(place)
    return found


def _slopes(images: NDArray[np.uint8]) -> list[bytes]:
    """Where each small picture becomes lighter from left to right."""
    _, _, height, width = images.shape
    rows = (np.arange(SIDE) * height) // SIDE
    columns = (np.arange(SIDE + 1) * (width - 1)) // SIDE
    small = images[:, :, rows][:, :, :, columns].astype(np.int16).mean(1)  # (n, SIDE, SIDE + 1)
    lighter = np.packbits((np.diff(small, axis=2) > ALIKE).reshape(len(images), -1), axis=1)
    return [row.tobytes() for row in lighter]


def _distance(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.sqrt(np.square(a.astype(np.float32) - b).mean()))


def left_out(skipped: Sequence[Skipped]) -> tuple[LeftOut, ...]:
    """Files by the reason why they were not used, the most frequent first; the rarest stand together."""
    counts = Counter((each.reason, each.other) for each in skipped)
    examples = {each.reason: each.file for each in reversed(skipped)}
    groups = [LeftOut(reason, n, examples[reason], other) for (reason, other), n in counts.most_common()]
    if len(groups) <= REASONS:
        return tuple(groups)
    rest = groups[REASONS - 1 :]
    others = LeftOut(tr("For other reasons."), sum(each.count for each in rest), rest[0].example)
    return (*groups[: REASONS - 1], others)

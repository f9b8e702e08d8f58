"""The files of a folder, by name, size and time only: nothing is opened here."""

from __future__ import annotations

import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from diffusion_studio.core.words import tr
from diffusion_studio.data.errors import Cancelled, DataError, FolderGoneError
from diffusion_studio.data.imageset import Skipped

_AT_ONCE = 1000  # files between two looks at whether the walk is to end
METADATA = ("metadata.csv", "metadata.jsonl")  # the first one of a folder counts

# Folders that systems make beside a person's pictures: thumbnails, waste baskets, leftovers.
_NOT_THE_PERSONS = {
    "@eadir", "#recycle", "@recycle", "#snapshot", "@tmp", "$recycle.bin", "recycler", "recycled",
    "system volume information", "lost+found", "__macosx", "thumbnails", "network trash folder",
    "temporary items", "@__thumb", "@recently-snapshot", "@sharebin", "found.000", "__pycache__",
}  # fmt: skip
_OF_A_RUN = ({"config.json", "checkpoints"}, {"config.json", "data.json", "metrics.sqlite"})

# Also of kinds that are not read: such a file is missed if it is passed over in silence.
_IMAGE_ENDINGS = re.compile(
    r"\.(a?png|jpe?g?|jfif|webp|bmp|dib|gif|tiff?|ico|hei[cf]|avif|jp2|j2k|jxl|psd|tga|svg|eps"
    r"|p[bgpn]m|exr|hdr|dds|qoi|jxr|bpg|mng|xcf|dcm|fits?"
    r"|raw|dng|cr[23w]|nef|nrw|arw|sr[2fw]|orf|rw[2l]|raf|pef|3fr|iiq|erf|kdc|mrw|x3f)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file as the directory shows it; `path` is relative to the root, with forward slashes."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Listing:
    """Everything under a folder, sorted by path."""

    root: Path
    files: tuple[FoundFile, ...]  # every regular file that may be a picture
    metadata: tuple[FoundFile, ...]  # label files, in whatever folder
    folders_named_like_images: tuple[str, ...]
    skipped: tuple[Skipped, ...]  # what could not be walked or is no regular file
    passed_over: tuple[str, ...] = ()  # folders that are not the person's, or are runs
    empty: tuple[str, ...] = ()  # folders in which nothing lies
    device: int | None = None  # of the system, which the folder lies on

    @property
    def pictures(self) -> tuple[str, ...]:
        """Files that may be pictures by their names, in order."""
        names = (file.path for file in self.files)
        return tuple(name for name in names if looks_like_image(name) or "." not in name.rpartition("/")[2])


def looks_like_image(name: str) -> bool:
    """Whether a name ends like that of a picture (also of a kind that is not read)."""
    return _IMAGE_ENDINGS.search(name) is not None


def scan(
    root: Path, cancelled: Callable[[], bool] | None = None, told: Callable[[int], None] | None = None
) -> Listing:
    """Walk `root` and all folders below it.

    Names that begin with a dot are ignored. A link to a folder is followed unless that folder has been
    walked already, so loops end and nothing is read twice.

    Args:
        told: how many files are found so far, now and then.

    Raises:
        DataError: no such folder, a file instead of a folder, or one that cannot be read.
        Cancelled: `cancelled()` became true.
    """
    check_folder(root)
    walk = _Walk(root, cancelled or (lambda: False), told or (lambda found: None))
    walk.run()
    return walk.listing()


def check_folder(root: Path) -> None:
    """
    Raises:
        DataError: no such folder, a file instead of a folder, or one that cannot be read.
    """
    try:
        is_folder = stat.S_ISDIR(root.stat().st_mode)
    except (FileNotFoundError, ValueError):  # ValueError: no name that a folder can have
        raise DataError(tr("There is no folder {root}.", root=root)) from None
    except OSError as error:
        raise DataError(tr("The folder {root} cannot be read: {why}.", root=root, why=_why(error))) from error
    if not is_folder:
        raise DataError(tr("{root} is a file; choose the folder that holds the images.", root=root))


def check_there(listing: Listing) -> None:
    """
    Raises:
        FolderGoneError: the folder is not there any more, or another one where its drive was.
    """
    try:
        if listing.root.stat().st_dev == listing.device:
            return
    except OSError:
        pass
    raise FolderGoneError(
        tr(
            "The folder {root} went away while its images were read. Make it reachable and read it again.",
            root=listing.root,
        )
    )


def is_any_given(root: Path, skipped: Iterable[Skipped]) -> bool:
    """Whether the system gives a file now that it did not give before."""
    return any(_is_given(root / each.file) for each in skipped if each.passing)


def _is_given(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            while file.read(1 << 20):
                pass
    except OSError:
        return False
    return True


class _Walk:
    def __init__(self, root: Path, cancelled: Callable[[], bool], told: Callable[[int], None]) -> None:
        self.root = root
        self.cancelled = cancelled
        self.told = told
        self.files: list[FoundFile] = []
        self.named: list[str] = []
        self.skipped: list[Skipped] = []
        self.folders: deque[str] = deque([""])
        self.links: deque[str] = deque()  # walked after all real folders
        self.seen: set[tuple[int, int]] = set()
        self.passed_over: list[str] = []
        self.empty: list[str] = []
        self.device: int | None = None

    def run(self) -> None:
        while self.folders or self.links:
            self._heed()
            is_link = not self.folders
            folder = self.links.popleft() if is_link else self.folders.popleft()
            try:
                if not self._enter(folder) and is_link and not self._is_loop(folder):
                    again = tr("It is a link to a folder that is read already.")
                    self.skipped.append(Skipped(folder, again, other=True))
            except OSError as error:
                if not folder:
                    raise DataError(
                        tr("The folder {root} cannot be read: {why}.", root=self.root, why=_why(error))
                    ) from error
                self.skipped.append(Skipped(folder, tr("The folder cannot be read: {why}.", why=_why(error))))

    def _enter(self, folder: str) -> bool:
        """Whether it had not been walked before."""
        path = self.root / folder
        status = path.stat()
        if (status.st_dev, status.st_ino) in self.seen:
            return False
        self.seen.add((status.st_dev, status.st_ino))
        self.device = status.st_dev if self.device is None else self.device
        with os.scandir(path) as found:
            entries = [entry for entry in found if not entry.name.startswith(".")]
        names = {entry.name for entry in entries}
        if not folder and names >= _OF_A_RUN[-1]:
            raise DataError(
                tr("{root} is a run, not a folder of images; --resume goes on with a run.", root=self.root)
            )
        if folder and any(names >= signs for signs in _OF_A_RUN):
            self.passed_over.append(folder)
            return True
        if folder and not entries:
            self.empty.append(folder)
        for number, entry in enumerate(entries, start=1):
            self._take(entry, f"{folder}/{entry.name}" if folder else entry.name)
            if number % _AT_ONCE == 0:
                self._heed()
                self.told(len(self.files))
        return True

    def _is_loop(self, link: str) -> bool:
        """Whether a link leads to a folder that it lies in itself."""
        path = self.root / link
        return path.parent.resolve().is_relative_to(path.resolve())

    def _heed(self) -> None:
        if self.cancelled():
            raise Cancelled

    def _take(self, entry: os.DirEntry[str], path: str) -> None:
        try:
            status = entry.stat()
        except FileNotFoundError:
            self.skipped.append(Skipped(path, tr("It is a link to something that does not exist.")))
        except OSError as error:
            self.skipped.append(Skipped(path, tr("It cannot be read: {why}.", why=_why(error))))
        else:
            self._sort_in(entry, path, status)

    def _sort_in(self, entry: os.DirEntry[str], path: str, status: os.stat_result) -> None:
        if stat.S_ISDIR(status.st_mode) and entry.name.casefold() in _NOT_THE_PERSONS:
            self.passed_over.append(path)
        elif stat.S_ISDIR(status.st_mode):
            (self.links if entry.is_symlink() else self.folders).append(path)
            if looks_like_image(entry.name):
                self.named.append(path)
        elif stat.S_ISREG(status.st_mode):
            self.files.append(FoundFile(path, status.st_size, status.st_mtime_ns))
        else:
            self.skipped.append(Skipped(path, tr("It is not a regular file.")))

    def listing(self) -> Listing:
        files = sorted(self.files, key=lambda f: f.path)
        return Listing(
            root=self.root,
            files=tuple(f for f in files if not _is_metadata(f)),
            metadata=tuple(f for f in files if _is_metadata(f)),
            folders_named_like_images=tuple(sorted(self.named)),
            skipped=tuple(sorted(self.skipped, key=lambda s: s.file)),
            passed_over=tuple(sorted(self.passed_over)),
            empty=tuple(sorted(self.empty)),
            device=self.device,
        )


def _is_metadata(file: FoundFile) -> bool:
    return file.path.rpartition("/")[2].casefold() in METADATA


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()

"""Files of a folder that anybody may have made: regular ones inside it, of a size that is expected.

A pipe would wait for ever, a device may act when it is opened, a link or a name with `..` may lead anywhere,
and a file of any size fills the memory: each of them is refused before it is opened.
"""

from __future__ import annotations

import errno
import json
import stat
from pathlib import Path
from typing import Any

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr

_POINTER = b"version https://git-lfs"
MOST_JSON = 16 << 20  # bytes
MOST_TENSORS = 64 << 30
ANY_SIZE = 1 << 62  # of what is never read as a whole


def regular(path: Path, most: int) -> Path:
    """The same path, once it is known to be a regular file of at most `most` bytes.

    Raises:
        OSError: it is missing, something else or larger; `strerror` says which.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, tr("it is no regular file"), str(path))
    if found.st_size > most:
        why = tr(
            "it has {size:,.0f} MB, more than the {most:,.0f} MB that are read",
            size=found.st_size / 1e6,
            most=most / 1e6,
        )
        raise OSError(errno.EFBIG, why, str(path))
    return path


def inside(folder: Path, name: str) -> Path:
    """The path of a name that may lead, also through links, nowhere but into the folder.

    Raises:
        OSError: it leads out of it.
        Refused: no name of a file at all, like one with a null character.
    """
    path = folder / name
    try:
        leads_out = ".." in Path(name).parts or not path.resolve().is_relative_to(_home(folder))
    except RuntimeError:  # links that lead in a circle, before Python 3.13
        raise OSError(errno.ELOOP, tr("its link leads in a circle"), str(path)) from None
    except ValueError:
        raise Refused(tr("it is no name of a file")) from None
    if leads_out:
        raise OSError(errno.EPERM, tr("it leads out of its folder"), str(path))
    return path


def _home(folder: Path) -> Path:
    """The folder itself; for a snapshot in Hugging Face's cache, which is all links, the one of its blobs."""
    home = folder.resolve()
    return home.parents[1] if home.parent.name == "snapshots" else home


def read_inside(folder: Path, name: str, most: int = MOST_JSON) -> bytes:
    """The content of a regular file inside a folder.

    Raises:
        OSError: it is missing, leads out of the folder, or is no regular file of at most `most` bytes.
    """
    return regular(inside(folder, name), most).read_bytes()


class NotFetchedError(Refused):
    """A file that Git LFS has put in the place of another."""


def check_fetched(data: bytes) -> None:
    """Raises NotFetchedError where a file begins like that."""
    if data.startswith(_POINTER):
        raise NotFetchedError(tr("it only says where Git LFS keeps the file, which “git lfs pull” fetches"))


def parsed(data: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        Refused: none, or brackets in brackets beyond all reason; the message says which.
    """
    check_fetched(data)
    try:
        return json.loads(data)
    except RecursionError:
        raise Refused(tr("its brackets are nested too deeply")) from None
    except ValueError:
        raise Refused(tr("it is not valid JSON")) from None


def json_inside(folder: Path, name: str, most: int = MOST_JSON) -> Any:
    """The value in a JSON file inside a folder.

    Raises:
        OSError: it is missing, leads out of the folder, or is no regular file of at most `most` bytes.
        Refused: it is no JSON; the message says why, to be put into a sentence.
    """
    return parsed(read_inside(folder, name, most))

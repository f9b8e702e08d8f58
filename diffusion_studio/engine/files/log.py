"""The log on disk: what was not meant to happen, with its traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler

from diffusion_studio.engine.files import places

LIMIT = 2_000_000  # bytes
WINDOW = "studio.log"  # what the window logs


class _Handler(RotatingFileHandler):
    """Loses what the disk refuses: there is nobody to tell, and the work goes on."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


@contextmanager
def kept_log(name: str) -> Iterator[None]:
    """What the program logs meanwhile goes into this file of the log folder.

    The file begins with the first of it; where there can be none, all works the same.
    """
    log = logging.getLogger("diffusion_studio")
    try:
        places.log_dir().mkdir(parents=True, exist_ok=True)
        handler = _Handler(
            places.log_dir() / name,
            maxBytes=LIMIT,
            backupCount=1,
            encoding="utf-8",
            delay=True,
            errors="backslashreplace",  # names of files in another encoding
        )
    except OSError:
        yield
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


def last_of(name: str, most: int = 200_000) -> str:
    """The last `most` bytes of a log, from the beginning of a line; nothing where there is none."""
    try:
        with (places.log_dir() / name).open("rb") as file:
            begins = max(0, file.seek(0, 2) - most)
            file.seek(begins)
            data = file.read()
    except OSError:
        return ""
    text = data.decode("utf-8", errors="replace")
    return text.partition("\n")[2] if begins else text

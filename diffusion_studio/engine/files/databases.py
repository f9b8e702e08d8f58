"""What is wrong with a database of SQLite, in words for a person."""

from __future__ import annotations

import sqlite3

from diffusion_studio.core.words import tr

WHY = {
    sqlite3.SQLITE_FULL: tr("the disk is full"),
    sqlite3.SQLITE_READONLY: tr("it may not be written"),
    sqlite3.SQLITE_CANTOPEN: tr("it cannot be opened"),
    sqlite3.SQLITE_IOERR: tr("the disk does not answer rightly"),
    sqlite3.SQLITE_CORRUPT: tr("it is damaged"),
    sqlite3.SQLITE_NOTADB: tr("it is no database"),
    sqlite3.SQLITE_BUSY: tr("another program holds it"),
    sqlite3.SQLITE_LOCKED: tr("another program holds it"),
    sqlite3.SQLITE_ERROR: tr("a table in it has another form"),
}

_PASSING = (
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY,
)  # fmt: skip
NO_PLACE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
"""There is no place for the files that readers and writer share: a folder that may only be read."""


def why_not(error: sqlite3.Error) -> str:
    """Why a database cannot be used, in words of ours, to be put into a sentence."""
    code = code_of(error)
    return str(error) if code is None else WHY.get(code, tr("it is not as it was written"))


def may_pass(error: sqlite3.Error) -> bool:
    """Whether the same may be possible later: another program holds the database, or its folder is away."""
    return code_of(error) in _PASSING


def code_of(error: sqlite3.Error) -> int | None:
    """The kind of an error of the library; None for one of ours."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF

"""Metrics databases as no program of ours writes them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields
from pathlib import Path

from diffusion_studio.engine.runs.quality import Quality

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT 1, x, 0.5 FROM c"
QUALITY = json.dumps({field.name: 1 for field in fields(Quality)} | {"dreams": 7})


def statements(*lines: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as db:
            for line in lines:
                db.execute(line)
            db.commit()

    return change


def content(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


ODD_METRICS: dict[str, Callable[[Path], object]] = {
    "no database": content(b"this is no database, it only lies where one should be. " * 100),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "other columns": statements("DROP VIEW loss", "DROP TABLE losses", "CREATE TABLE losses (a, b)"),
    "an endless view": statements("DROP VIEW loss", "DROP TABLE losses", f"CREATE VIEW losses AS {ENDLESS}"),
    "texts": statements("UPDATE losses SET value = 'low'"),
    "a newer measure": statements(f"INSERT INTO quality VALUES (1, 2, '{QUALITY}')"),
    "a measure that is no number": statements("INSERT INTO quality VALUES (1, 2, '{\"count\": \"four\"}')"),
    "nested measures": statements(f"INSERT INTO quality VALUES (1, 2, '{'[' * 50000}')"),
    "blobs of odd sizes": statements("UPDATE timesteps SET error = x'0102'"),
    "numbers as blobs": statements("UPDATE timesteps SET t = 7"),
    "steps beyond all": statements(
        "INSERT INTO losses VALUES (1, 9223372036854775807, 0.5)",
        "INSERT INTO losses VALUES (1, -9223372036854775808, 0.5)",
    ),
    "losses beyond all": statements(
        "INSERT INTO losses VALUES (1, 3, 1e308)", "INSERT INTO losses VALUES (1, 4, -1e308)",
        "INSERT INTO losses VALUES (1, 5, 9e999)",
    ),
    "events of another kind": statements("INSERT INTO events VALUES ('a', 'b', 'c', 'objective', x'ff')"),
}  # fmt: skip
SILENT = {"a newer measure", "losses beyond all"}  # what can be shown needs no word

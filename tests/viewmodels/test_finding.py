"""What the palette finds for what is typed."""

from __future__ import annotations

import pytest

from diffusion_studio.viewmodels.finding import Entry, fitting

ENTRIES = [
    Entry(title, kind, list)
    for title, kind in (
        ("Open images …", "File"), ("Play backwards", "Run"), ("Train", "View"), ("Sample", "View"),
        ("DDIM", "Sampler"), ("DDPM", "Sampler"), ("digits-2026", "Run"), ("Walk through its chain", "Run"),
    )
] + [Entry("All keys", "Help", list, "F1", "A sheet of every key and shortcut")]  # fmt: skip


def titles(typed: str) -> list[str]:
    return [entry.title for entry in fitting(ENTRIES, typed)]


def test_that_nothing_typed_finds_everything_in_its_order():
    assert titles("  ") == [entry.title for entry in ENTRIES]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("ddim", ["DDIM"]),
        ("DD", ["DDIM", "DDPM"]),
        ("sampl", ["Sample", "DDIM", "DDPM"]),  # the kind counts less than the title
        ("back", ["Play backwards"]),
        ("run play", ["Play backwards"]),
        ("wtc", ["Walk through its chain"]),
        ("shortcut", ["All keys"]),  # by what it does
        ("short", ["All keys"]),
        ("nothing of it", []),
    ],
)
def test_that_the_best_come_first(typed, found):
    assert titles(typed) == found

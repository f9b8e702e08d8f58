"""In which order files are handed to the workers: a long one that comes last is waited for by all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

LONG = (
    "engine/test_standin.py", "cli/test_together.py", "engine/runs/test_diffusers_folders.py",
    "core/samplers/test_samplers.py", "engine/plane/test_plane.py", "engine/training/test_trainer.py",
    "engine/runs/test_folders_of_others.py", "engine/classifier/test_classifier_training.py",
    "test_new_members.py", "test_packaging.py", "engine/training/test_killed.py", "cli/test_program.py",
    "cli/test_train.py", "engine/training/test_codes.py", "engine/training/test_together.py",
    "gui/test_walk.py", "gui/test_fits.py", "gui/pages/test_sample_lab.py", "gui/test_app.py",
    "gui/test_leaks.py", "gui/test_names.py", "gui/test_actions.py", "viewmodels/train/test_train.py",
    "gui/test_tours.py", "gui/pages/test_pages_sample.py", "gui/pages/test_pages_train.py",
    "gui/pages/test_pages_plane.py", "gui/test_pages.py", "end_to_end/test_walk.py",
)  # fmt: skip
"""Files that take more than a few seconds, the longest first; the others come by their number of tests."""


def in_turn(items: Sequence[pytest.Item], tests: Path) -> list[pytest.Item]:
    """Tests of one file stay together and in their order."""
    turns = {tests / name: turn for turn, name in enumerate(LONG)}
    counts = Counter(item.path for item in items)
    return sorted(items, key=lambda item: (turns.get(item.path, len(LONG)), -counts[item.path], item.path))

"""Runs over each other in the window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffusion_studio.engine.labbook.disk import PARTS
from diffusion_studio.engine.runs.metrics import LossSegment
from diffusion_studio.engine.runs.quality import Quality
from diffusion_studio.engine.training.events import TimestepErrors
from diffusion_studio.pages.runs import compare
from diffusion_studio.pages.runs.card import RunCard
from diffusion_studio.pages.runs.compare import VIEWS, CompareCard
from diffusion_studio.viewmodels.runs.comparison import RunRead
from diffusion_studio.viewmodels.train.comparison import Comparison
from support.tiny import tiny_config


def run(name: str, T: int = 50, marks: tuple = (), previews: tuple = ()) -> RunRead:
    """A run that has told a little."""
    errors = TimestepErrors(2, np.array([T / 2, T]), np.array([0.5, 0.2]), np.ones(2), np.array([3, 3]))
    measures = Quality(64, 2.0, 1.0, 0.1, 0.5, 0.9, 0.5, 0.9, 1.0, 1.0)
    losses = LossSegment(np.array([1, 2]), np.array([1.0, 0.5]))
    disk = dict.fromkeys(PARTS, 10**6)
    told = Comparison(name, errors, T, np.array([1.0, -1.0]))
    return RunRead(
        Path(name), name, tiny_config(T=T), losses, marks, told, ((1, measures),), previews, 8, disk, 10**9
    )


@pytest.fixture
def card(qtbot):
    made = CompareCard()
    qtbot.addWidget(made)
    made.resize(700, 300)
    made.show()
    return made


def test_that_four_runs_lie_over_each_other_in_every_plot(card):
    card.show_runs(tuple(run(name) for name in "abcd"), 6)
    assert card.note.text() == "the first 4 of 6 chosen runs"
    assert card.loss.as_table()[1][-1][0] == "d"
    for plot in (card.errors, card.quality):
        assert plot.as_table()[0][1:] == ["a", "b", "c", "d"]


def test_that_errors_of_another_T_stand_over_the_same_places(card):
    card.show_runs((run("a"), run("b", T=100)), 2)
    assert [row[0] for row in card.errors.as_table()[1]] == [0.5, 1.0]
    card.axis.set_value("log_snr")
    card.axis.changed.emit("log_snr")
    assert card.errors.as_table()[0][0] == "ln SNR"
    assert [row[0] for row in card.errors.as_table()[1]] == [-1.0, 1.0]


def test_that_settings_show_what_differs_or_all(card):
    card.show_runs((run("a"), run("b", T=100)), 2)
    card.show_view("settings")
    rows = card.settings.rows
    assert rows.rowCount() == 1
    assert [rows.data(rows.index(0, column)) for column in range(3)] == ["diffusion: steps  T", "50", "100"]
    card.differences.setChecked(False)
    assert rows.rowCount() > 20
    assert rows.headerData(2, card.settings.table.horizontalHeader().orientation()) == "b"
    card.differences.setChecked(True)
    card.show_runs((run("a"), run("b")), 2)
    assert card.settings.currentWidget() is card.settings.nothing


def test_that_without_a_run_everything_says_so(card):
    card.show_runs((), 0)
    for key, *_ in VIEWS:
        card.show_view(key)
        assert card.axis.isVisible() == (key == "errors")
    assert card.settings.nothing.text() == "Nothing is chosen."
    assert card.loss.describe() == "No losses yet."


def test_that_samples_are_looked_at_over_training(qtbot, tmp_path):
    card = RunCard()
    qtbot.addWidget(card)
    previews = tuple((step, tmp_path / f"step-{step}.png") for step in (10, 20, 30))
    card.show_previews(run("a", previews=previews))
    assert card.moment.text() == "step 30" and card.history.isEnabled()
    card.history.setValue(0)
    assert card.moment.text() == "step 10"
    card.show_previews(run("a", previews=previews))
    assert card.history.value() == 0  # the same ones again
    card.show_previews(None)
    assert card.moment.text() == "" and not card.history.isEnabled()


def test_that_older_checkpoints_of_one_run_are_deleted_at_the_second_press(qtbot, card):
    asked = []
    card.disk.drop_requested.connect(asked.append)
    card.show_runs((run("a"), run("b")), 2)
    assert not card.disk.drop.isEnabled()
    assert [row.title for row in card.disk.table.rows.said] == [*PARTS, "in all"]
    card.show_runs((run("a"),), 1)
    card.show_view("disk")
    assert card.disk.free.text() == "1.0 GB are free"
    card.disk.drop.click()
    assert card.disk.drop.text() == "Really delete 1.0 MB of checkpoints?" and not asked
    card.disk.drop.click()
    assert asked == [Path("a")] and card.disk.drop.text() == "Delete older checkpoints"


def test_that_settings_are_named_only_where_they_are_looked_at(card, monkeypatch):
    named = []
    monkeypatch.setattr(compare, "settings_of", lambda configs: named.append(configs) or ())
    card.show_runs((run("a"), run("b")), 2)
    assert not named
    card.show_view("settings")
    assert len(named) == 1

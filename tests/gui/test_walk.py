"""Every control of every page is touched once; nothing is raised or logged, and undo brings the page back."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from PySide6.QtGui import QDesktopServices

from diffusion_studio.engine.files import places
from diffusion_studio.pages.entries import PAGES
from diffusion_studio.pages.shell import LEAST
from diffusion_studio.viewmodels.train import outlook, training
from support.tiny import begin, finish, tiny_config
from support.walk import Walk, parts_of, shortened, value_of

WITH_A_RUN = ("train", "theory", "runs")


@pytest.fixture(params=[entry.key for entry in PAGES])
def page(request: Any) -> str:
    found: str = request.param
    return found


@pytest.fixture
def walk(qtbot: Any, open_app: Any, monkeypatch: Any, page: str) -> Walk:
    """Beside a window in which all that can be begun is short, whatever is set on the way to it."""
    begin_session = training.new_session
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: True)
    monkeypatch.setattr(outlook, "WAIT", 10**8)  # nothing of what is set on the way is tried
    run, config = places.runs_dir() / "one", tiny_config(steps=2, preview_count=4)
    monkeypatch.setattr(
        training, "new_session", lambda place, _, *more, **named: begin_session(place, config, *more, **named)
    )
    if page in WITH_A_RUN:
        finish(begin(run, config))
    app = open_app(page=page)
    app.shell.resize(LEAST)  # the less there is to paint, the sooner it is done
    studio = app.studio
    studio.plane.player.stop()
    studio.training.editor.set(config)
    if page in WITH_A_RUN:
        studio.training.show_run(run)
    shortened(studio)
    made = Walk(qtbot, app)
    made.come_to_rest()
    return made


def test_that_everything_can_be_touched_and_undone(qtbot: Any, walk: Walk, page: str, caplog: Any) -> None:
    studio = walk.studio
    studio.show_page(page)
    walk.come_to_rest()
    before = value_of(studio, page)
    for show in parts_of(studio, page):
        show()
        walk.come_to_rest()
        walk.over(studio.pages[page])
    while studio.pages[page].can_undo and value_of(studio, page) != before:
        studio.pages[page].undo()
        walk.come_to_rest()
    qtbot.waitUntil(lambda: value_of(studio, page) == before)  # a run comes back from the trash in a job
    assert value_of(studio, page) == before
    assert not walk.faults
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert len(walk.touched) > 5

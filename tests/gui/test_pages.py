"""A page is built when it is first asked for; what is behind it is there from the start."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QObject
from PySide6.QtWidgets import QWidget

from diffusion_studio.engine.files import places
from diffusion_studio.pages.entries import PAGES
from diffusion_studio.pages.page import PANEL_WIDTH, Workspace
from diffusion_studio.widgets.actions.table import TOURED
from support.tiny import begin, finish, tiny_config


@pytest.fixture
def run() -> Any:
    path = places.runs_dir() / "mine"
    finish(begin(path, tiny_config(steps=3)))
    return path


def test_that_only_the_page_that_is_shown_is_built_until_the_others_are_built_ahead(
    qtbot: Any, open_app: Any, run: Any
) -> None:
    """Work of the others is told, and what they hold is there when they are."""
    left = {"run": str(run), "layout.runs": {"axis": "log_snr"}}
    places.settings_dir().mkdir(parents=True)
    (places.settings_dir() / "window.json").write_text(json.dumps(left))
    app = open_app()
    studio, shown = app.studio, app.shell.current_page
    assert "runs" in studio.pages and "nothing" not in studio.pages
    assert list(studio.pages.there) == ["sample"]
    studio.training._show(replace(studio.training.state, phase="running", fraction=0.5))
    assert "50\N{NO-BREAK SPACE}%" in app.shell.rail.button("train").accessibleDescription()
    studio.training._show(replace(studio.training.state, phase="idle", fraction=1.0))
    studio.remembering.keep_layouts()
    assert studio.memory.get("layout.runs") == {"axis": "log_snr"}
    app.build_ahead()
    qtbot.waitUntil(lambda: len(studio.pages.there) == len(PAGES))
    assert app.shell.current_page is shown
    assert studio.runs_page.compare.axis.value == "log_snr"
    assert len(studio.train_page.curves.loss._runs[0].steps) == 3


@pytest.mark.parametrize("key", [entry.key for entry in PAGES])
def test_that_a_window_that_opens_at_a_page_builds_no_other(open_app: Any, key: str) -> None:
    studio = open_app(page=key, computed=False).studio
    assert list(studio.pages.there) == [key]


def test_that_the_cards_of_a_tour_are_known_before_its_page_is() -> None:
    assert [entry.key for entry in PAGES if entry.cards()] == list(TOURED)


def test_that_a_panel_has_its_room_back_once_the_main_area_needs_less(qtbot: Any) -> None:
    workspace = Workspace()
    qtbot.addWidget(workspace)
    wide = QWidget()
    workspace.area.addWidget(wide)
    workspace.panel.addWidget(QWidget())
    workspace.resize(1000, 700)
    workspace.show()
    before = workspace.sizes()
    assert before[1] == PANEL_WIDTH
    wide.setMinimumWidth(800)
    qtbot.waitUntil(lambda: workspace.sizes()[1] < 200)
    assert workspace.wanted_sizes() == before  # and that is what is remembered
    wide.setMinimumWidth(100)
    qtbot.waitUntil(lambda: workspace.sizes() == before)
    workspace.resize(400, 700)
    workspace.resize(1000, 700)
    assert workspace.sizes() == before
    workspace.setSizes([600, 400])
    workspace.resize(1200, 700)
    assert workspace.sizes()[1] == workspace.wanted_sizes()[1] == 400


def test_that_a_page_stands_before_it_is_painted_and_nothing_else_is_seen_in_between(
    qtbot: Any, open_app: Any
) -> None:
    """What a person does is heard between the two; the page before is seen until the new one is whole."""
    app = open_app(page="theory")
    stack, painted = app.shell.stack, Painted()
    for page in ("runs", "theory"):
        app.studio.show_page(page)
        qtbot.waitUntil(stack.updatesEnabled)
    for part in (stack, app.shell.header, app.shell.rail):
        part.installEventFilter(painted)
    app.studio.show_page("runs")
    assert stack.currentWidget() is app.studio.runs_page and not stack.updatesEnabled()
    QCoreApplication.sendPostedEvents()  # as before any turn
    assert not painted.times
    qtbot.waitUntil(lambda: painted.times > 0)
    assert stack.updatesEnabled() and app.studio.runs_page.updatesEnabled()
    app.studio.show_page("runs")  # it is there
    assert stack.updatesEnabled()


def test_that_train_shows_its_form_anew_only_where_other_codes_are_offered(
    open_app: Any, monkeypatch: Any
) -> None:
    page = open_app(page="train").studio.train_page
    shown: list[Any] = []
    monkeypatch.setattr(page.panel.form, "set_choice", shown.append)
    page.come_into_sight(None)
    assert not shown
    page.panel.offer_codes([("/somewhere", "a code")], page.model.state.config)
    assert len(shown) == 1


class Painted(QObject):
    times = 0

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        self.times += event.type() == QEvent.Type.Paint
        return False

"""Settings, log, about, and what a crash has left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QPushButton, QScrollArea

from diffusion_studio import __version__, album
from diffusion_studio.engine.files import places
from diffusion_studio.pages.settings import SettingsDialog
from diffusion_studio.studio import Studio
from diffusion_studio.viewmodels.settings import Settings
from diffusion_studio.widgets.actions.sheet import KeySheet
from diffusion_studio.widgets.frame.dialogs import FactsDialog, TextDialog
from diffusion_studio.widgets.look.theme import theme
from support.fits import settle


@pytest.fixture
def app(open_app: Any) -> Any:
    yield open_app(computed=False, page="runs")
    theme().set_text_size(100)
    theme().set_reduced_motion(None)


def opened(app: Any, action: str, kind: Any) -> Any:
    """The dialog that an action opens."""
    app.shell.actions_of_window[action].trigger()
    (dialog,) = app.shell.findChildren(kind)
    return dialog


def button(dialog: Any, text: str) -> QPushButton:
    return next(b for b in dialog.findChildren(QPushButton) if b.text() == text)


def test_that_settings_act_at_once_and_are_reset(app: Any) -> None:
    app.shell.resize(1280, 800)
    dialog = opened(app, "settings", SettingsDialog)
    settle()
    assert not dialog.findChild(QScrollArea).verticalScrollBar().isVisible()
    size = app.shell.font().pointSizeF()
    dialog.form.edited.emit("theme", "dark")
    dialog.form.edited.emit("text_size", 150)
    dialog.form.edited.emit("motion", "less")
    assert theme().mode == "dark" and theme().reduced_motion
    assert app.shell.font().pointSizeF() == pytest.approx(1.5 * size)
    assert dialog.form.field("theme").value == "dark"
    dialog.reset.click()
    assert app.studio.settings.state == Settings()
    assert theme().mode == "system"
    assert app.shell.font().pointSizeF() == pytest.approx(size)
    dialog.close()


def test_that_every_setting_is_in_the_dialog(app: Any) -> None:
    dialog = opened(app, "settings", SettingsDialog)
    assert set(dialog.form.paths) == set(Settings.model_fields)
    dialog.close()


def test_that_another_folder_of_runs_counts_from_the_next_start(
    open_app: Any, app: Any, tmp_path: Any
) -> None:
    app.studio.settings.edit("runs", str(tmp_path))
    assert app.studio.runs.runs_dir == places.runs_dir()
    app.close()
    assert open_app(computed=False, page="runs").studio.runs.runs_dir == tmp_path


def test_that_a_folder_that_cannot_be_made_or_shown_is_told(app: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: False)
    app.shell.actions_of_window.do("runs-folder")
    assert str(places.runs_dir()) in app.shell.banner.text
    places.runs_dir().rmdir()
    places.runs_dir().write_text("a file where the folder is to be")
    app.shell.actions_of_window.do("runs-folder")
    assert app.shell.banner.text.startswith(f"The folder {places.runs_dir()} cannot be made: ")


def test_that_a_theme_of_the_menu_is_a_setting(app: Any) -> None:
    app.shell.actions_of_window["theme-dark"].trigger()
    assert app.studio.settings.state.theme == theme().mode == "dark"


def test_that_about_tells_versions_and_the_log_is_a_click_away(app: Any) -> None:
    about = opened(app, "about", FactsDialog)
    button(about, "Copy").click()
    text = QGuiApplication.clipboard().text()
    for words in (__version__, "torch", "PySide6", str(places.log_dir())):
        assert words in text
    places.log_dir().mkdir(parents=True, exist_ok=True)
    (places.log_dir() / "studio.log").write_text("ERROR something\n")
    button(about, "Show the log").click()
    (log,) = app.shell.findChildren(TextDialog)
    assert log.text() == "ERROR something\n"
    for dialog in (log, about):
        dialog.close()


def test_that_a_crash_is_told_at_the_next_start(make_app: Any, qtbot: Any) -> None:
    app = make_app()
    app._crashed = "Fatal Python error: Segmentation fault"
    with qtbot.waitSignal(app.ready):
        app.show()
    assert isinstance(app.studio, Studio)
    assert app.shell.banner.isVisible()
    assert "ended abruptly" in app.shell.banner.text
    app.shell.banner.action_triggered.emit()
    (log,) = app.shell.findChildren(TextDialog)
    log.close()


def test_that_a_picture_shows_a_dialog_as_it_is_in_a_window_of_that_size(
    app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(album, "pause", lambda _: settle())
    monkeypatch.setattr(album, "MODES", ("light",))
    beside, folder = [], tmp_path / "pictures"
    folder.mkdir()

    def ask() -> None:
        app.shell.actions_of_window.do("keys")
        (sheet,) = (sheet for sheet in app.shell.findChildren(KeySheet) if sheet.isVisible())
        beside.append((app.shell.height(), sheet.height()))

    album.Album(folder, ((1920, 1200), (960, 640)), 100).take(app.shell, "keys", ask)
    assert len(list(folder.iterdir())) == 2
    assert [window for window, _ in beside] == [1200, 640]
    assert all(dialog < window for window, dialog in beside)
    assert not [sheet for sheet in app.shell.findChildren(KeySheet) if sheet.isVisible()]

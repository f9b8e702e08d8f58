"""What is said before the window opens."""

from pathlib import Path
from unittest.mock import Mock, call

import pytest
from PySide6.QtWidgets import QApplication

from diffusion_studio import app, screenshots
from diffusion_studio.widgets.look import language


def test_that_a_path_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["tain"]) == 2
    assert "nothing at tain" in capsys.readouterr().err
    assert app.run(["x" * 5000]) == 2  # no name of a file
    assert "nothing at xxx" in capsys.readouterr().err


def test_that_a_machine_without_a_screen_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert app.run([]) == 1
    assert "no screen" in capsys.readouterr().err


def test_that_pictures_of_the_pages_have_the_words_of_qt_translated(
    qapp: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A button "Close" and the key "Ctrl" are words of Qt: they are translated before the window is built."""
    said = Mock()
    monkeypatch.setattr(language, "translate_qt", said.translate)
    monkeypatch.setattr(app, "App", said.build)
    screenshots._take(Mock(), Path(), [])
    assert said.mock_calls[:2] == [call.translate(qapp), call.build()]

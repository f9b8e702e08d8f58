"""What is said before the window opens."""

import pytest

from diffusion_studio import app


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

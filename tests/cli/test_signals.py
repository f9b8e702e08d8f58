"""Signals stop in good order, but for those that whoever started the program lets it ignore."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from diffusion_studio.cli.signals import stopping_on_signals
from diffusion_studio.engine.jobs.control import Control

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT"])
def test_that_a_signal_that_is_ignored_from_the_beginning_stops_nothing(name, capsys):
    """As `nohup` and `&` in a script do."""
    number, control = getattr(signal, name), Control()
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with stopping_on_signals(control):
            os.kill(os.getpid(), number)
            assert not control.stopped
            os.kill(os.getpid(), signal.SIGTERM)
            assert control.stopped
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
    assert capsys.readouterr().err == "Stopping and saving …\n"


_AT_ONCE = """
import os, signal, sys
from diffusion_studio import __main__ as program
from diffusion_studio.cli.commands import Command
from diffusion_studio.engine.machine import torch_libraries
if sys.argv[1] == "at the beginning":
    torch_libraries.load_first = lambda: os.kill(os.getpid(), signal.SIGINT)
program.ALL["doctor"] = Command("interrupted", "")
sys.argv = ["diffusion-studio", "doctor"]
sys.exit(program.main())
"""


@pytest.mark.parametrize("when", ["at the beginning", "while a command is imported"])
def test_that_ctrl_c_before_anything_has_begun_ends_without_a_word(when, tmp_path):
    (tmp_path / "interrupted.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", _AT_ONCE, when],
        env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_that_a_second_signal_while_the_first_one_stops_waits_for_nothing(monkeypatch):
    """The lock of an event is held while it is set, and a signal comes between any two instructions."""
    control = Control()
    stops: list[int] = []

    def stop() -> None:
        stops.append(1)
        signal.raise_signal(signal.SIGTERM)  # in the midst of it

    monkeypatch.setattr(control, "stop", stop)
    with stopping_on_signals(control, patient=True, quiet=True):
        signal.raise_signal(signal.SIGTERM)
    assert stops == [1]

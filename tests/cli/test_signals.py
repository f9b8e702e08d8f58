"""Signals stop in good order, but for those that whoever started the program lets it ignore."""

from __future__ import annotations

import os
import signal

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

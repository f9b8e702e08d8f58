"""Processes find each other, share the rows of a batch, and say in a sentence why they cannot."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys

import pytest
import torch

from diffusion_studio.engine.machine.ranks import ALONE, RankError, Ranks, joined, launched
from support.patience import look_again_soon
from support.ranks import free_port, start_process, start_processes

PLACE = {"RANK": "1", "WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}

TALK = """
import torch
from diffusion_studio.engine.machine.ranks import is_end, joined
with joined() as ranks:
    long = "x" * 1000
    said = ranks.hear() if ranks.number else ranks.tell({"short": 1}) or {"short": 1}
    more = ranks.hear() if ranks.number else ranks.tell([long]) or [long]
    assert (said, more) == ({"short": 1}, [long])
    answers = ranks.gathered({"me": ranks.number, "é": long[: ranks.number]})
    assert answers == [{"me": n, "é": "x" * n} for n in range(ranks.count)], answers
    whole = torch.arange(7, dtype=torch.float64).reshape(7, 1)
    mine = torch.zeros(7, 1, dtype=torch.float64)
    mine[ranks.rows(7)] = whole[ranks.rows(7)]
    other = torch.full((2, 3), 1 / 3).T
    ranks.add([mine, other])
    assert torch.equal(mine, whole)
    assert torch.allclose(other, torch.full((3, 2), ranks.count / 3))
    pairs = torch.full((64,), (1e8, 1.0, -1e8, 1.0)[ranks.number])
    ranks.add([pairs])  # 1e8 + 1 is 1e8 in single precision: added one after the other it were 1
    assert ranks.count != 4 or not pairs.any(), pairs
    given = {"a": torch.ones(2, dtype=torch.bfloat16), "b": torch.tensor(5)}
    found = ranks.receive() if ranks.number else ranks.hand_out(given) or given
    assert {name: x.tolist() for name, x in found.items()} == {"a": [1, 1], "b": 5}
    assert ranks.is_first or is_end(ranks.hear())
print("all said")
"""

WITHOUT_ROOM = """
import sys
import torch
from diffusion_studio.engine.machine import ranks as module
from diffusion_studio.engine.machine.ranks import RankError, is_still_there, joined
module._STILL_EVERY = 0.0
number = int(sys.argv[1])
try:
    with joined() as ranks:
        ranks.tell({"step": 0}) if ranks.is_first else ranks.hear()
        with ranks.at_work():
            if ranks.number == number:
                raise MemoryError
            ranks.add([torch.ones(3)])
except RankError as said:
    print(said)
except MemoryError:
    print("no room")
"""
RESTING = """
from diffusion_studio.engine.machine import ranks as module
from diffusion_studio.engine.machine.ranks import is_end, is_still_there, joined
with joined() as ranks:
    if ranks.is_first:
        ranks.keep_waiting()
        module._STILL_EVERY = 3600.0
        ranks.keep_waiting()
        ranks.tell("goes on")
    else:
        assert is_still_there(ranks.hear())
        assert ranks.hear() == "goes on"
        assert is_end(ranks.hear())
print("all said")
"""
WAITING = """
from diffusion_studio.cli.signals import leaving_signals_to_the_first
from diffusion_studio.engine.machine.ranks import joined
with joined(leaving_signals_to_the_first()):
    pass
"""
GONE = "Another process of this training ended or cannot be reached any more, so this one ends as well."


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in PLACE.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize("count", [3, 4])
def test_that_processes_tell_each_other_everything_they_need(count: int) -> None:
    """Four add in pairs, as the parts of a batch are added."""
    started = start_processes(count, free_port(), "-c", TALK)
    for process in started:
        out, errors = process.communicate()
        assert (process.returncode, out.strip()) == (0, "all said"), errors


@pytest.mark.parametrize(
    ("number", "first", "other"),
    [
        (0, "no room", GONE),
        (1, "Process 2 of 2 has run out of memory.", "Process 2 of 2 has run out of memory."),
    ],
)
def test_that_nobody_waits_for_a_process_that_fails_in_its_step(number: int, first: str, other: str) -> None:
    """The others wait for its numbers then, and hear nothing; the first one learns why another is gone."""
    started = start_processes(2, free_port(), "-c", WITHOUT_ROOM, str(number))
    for process, said in zip(started, (first, other), strict=True):
        out, errors = process.communicate()
        assert out.strip() == said, errors


def test_that_a_first_process_that_rests_says_now_and_then_that_it_is_there() -> None:
    for process in start_processes(2, free_port(), "-c", RESTING):
        out, errors = process.communicate()
        assert (process.returncode, out.strip()) == (0, "all said"), errors


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("number", [0, 1])
def test_that_a_process_that_waits_for_the_others_is_ended_by_a_signal(number: int, ending: int) -> None:
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        port = there.getsockname()[1]
        if number:
            there.listen()
        else:
            there.close()
        process = start_process(number, 2, port, "-c", WAITING)
        if number:
            there.accept()[0].close()
        else:
            reach(port, process)
        process.send_signal(ending)
        _, errors = process.communicate()
    assert process.returncode == -ending, errors


def reach(port: int, process: subprocess.Popen[str]) -> None:
    """Waits until it listens for the others."""
    while process.poll() is None:
        with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)):
            return
        look_again_soon()


@pytest.mark.parametrize(("size", "count"), [(8, 3), (3, 3), (64, 1), (129, 4)])
def test_that_each_row_is_computed_by_one_process(size: int, count: int) -> None:
    rows = [row for number in range(count) for row in range(size)[Ranks(number, count).rows(size)]]
    assert rows == list(range(size))


def test_that_more_processes_than_rows_are_refused() -> None:
    with pytest.raises(RankError, match="batch of 3 images cannot be shared by 4 processes"):
        Ranks(0, 4).rows(3)


def test_that_a_process_started_alone_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PLACE:
        monkeypatch.delenv(name, raising=False)
    assert launched() is ALONE
    with joined() as ranks:
        assert ranks is ALONE
        values = torch.ones(3)
        ranks.add([values])
        ranks.tell("anything")
        assert values.tolist() == [1, 1, 1]
        assert ranks.rows(5) == slice(0, 5)


def test_that_the_place_among_processes_is_read(place: pytest.MonkeyPatch) -> None:
    assert launched() == Ranks(1, 3)
    assert launched().name == "Process 2 of 3"
    assert not launched().is_first


@pytest.mark.parametrize(
    ("name", "value"), [("RANK", "3"), ("RANK", "one"), ("WORLD_SIZE", "-2"), ("MASTER_PORT", "99999")]
)
def test_that_a_place_without_sense_is_refused(name: str, value: str, place: pytest.MonkeyPatch) -> None:
    place.setenv(name, value)
    with pytest.raises(RankError, match=f"{name}={value}.*is no place among several processes"):
        launched()


def test_that_a_port_in_use_is_said(place: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        place.setenv("RANK", "0")
        place.setenv("MASTER_PORT", str(port))
        with pytest.raises(RankError, match=f"Port {port} is in use by another program"), joined():
            pass

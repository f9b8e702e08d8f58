"""Processes find each other, share the rows of a batch, and say in a sentence why they cannot."""

from __future__ import annotations

import socket

import pytest
import torch

from diffusion_studio.engine.machine.ranks import ALONE, RankError, Ranks, joined, launched
from support.ranks import free_port, start_processes

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

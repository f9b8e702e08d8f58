"""Other programs are noticed by what the helper threads of small operations wait."""

from __future__ import annotations

import time

import pytest
import torch

from diffusion_studio.engine.machine.helper_threads import work_as_is_fastest
from diffusion_studio.models import company, side_by_side
from diffusion_studio.models.company import ENOUGH, LOOK_AGAIN, MEETINGS, Company
from support.processors import processors


class Meetings:
    """Meetings of helper threads that take as long as the test says, on a clock of the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.held, self.late = 100.0, 0, set()
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(company, "meeting", self._meeting)
        monkeypatch.setattr(side_by_side, "PROCESSORS", 2)

    def _meeting(self) -> float:
        self.held += 1
        return 0.016 if self.held in self.late else 1e-5


def test_that_company_is_known_by_meetings_that_wait(monkeypatch):
    meetings, found = Meetings(monkeypatch), Company()
    meetings.late = {3}
    assert not found.is_here() and meetings.held == MEETINGS  # one may be late by chance
    assert not found.is_here() and meetings.held == MEETINGS  # looked at once in a while
    meetings.now += 2 * LOOK_AGAIN
    meetings.late = {MEETINGS + 2, MEETINGS + 5, MEETINGS + 6}
    assert found.is_here() and meetings.held == MEETINGS + 5  # no longer than it has to
    assert found.is_here() and ENOUGH == 2
    meetings.now += 2 * LOOK_AGAIN
    assert not found.is_here()


def test_that_one_processor_has_nobody_to_wait_for(monkeypatch):
    meetings = Meetings(monkeypatch)
    monkeypatch.setattr(side_by_side, "PROCESSORS", 1)
    assert not Company().is_here() and meetings.held == 0


def test_that_looking_leaves_the_threads_as_they_were(monkeypatch):
    monkeypatch.setattr(side_by_side, "PROCESSORS", 2)
    before = torch.get_num_threads()
    Company().is_here()
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("beside", "threads"), [(True, 1), (False, 3)])
def test_that_a_job_has_helpers_where_they_help(beside, threads, monkeypatch):
    monkeypatch.setattr("diffusion_studio.engine.machine.helper_threads.PROCESSORS", 3)
    with processors(3, company=beside), side_by_side.with_helpers(2):
        work_as_is_fastest()
        assert torch.get_num_threads() == threads

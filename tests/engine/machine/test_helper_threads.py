"""Each thread of the program decides by itself how many helpers it uses."""

from __future__ import annotations

import threading

import pytest
import torch

from diffusion_studio.engine.machine import devices, helper_threads
from diffusion_studio.engine.machine.devices import device_name
from diffusion_studio.engine.machine.helper_threads import work_alone, work_with_all

ALL = 3


@pytest.fixture(autouse=True)
def three_threads(monkeypatch):
    """Each test computes with one, so the library has to be said to have chosen more."""
    for module in (helper_threads, devices):
        monkeypatch.setattr(module, "PROCESSORS", ALL)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_that_a_thread_that_works_alone_does_not_change_another():
    found = []

    def job() -> None:
        work_with_all()
        found.append(torch.get_num_threads())

    work_alone()
    thread = threading.Thread(target=job)
    thread.start()
    thread.join()
    assert found == [ALL]
    assert torch.get_num_threads() == 1


def test_that_a_thread_that_works_alone_names_the_processor_as_others_do():
    work_with_all()
    before = device_name(torch.device("cpu"))
    work_alone()
    assert device_name(torch.device("cpu")) == before
    assert f"{ALL} thread" in before


@pytest.mark.parametrize(
    ("parts", "said"), [(2, "2 parts × 1 thread"), (8, "8 parts × 1 thread"), (1, "3 threads")]
)
def test_that_the_processor_is_named_with_the_parts_it_works_on(parts, said):
    assert device_name(torch.device("cpu"), parts) == f"CPU · {said}"

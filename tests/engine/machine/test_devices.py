"""What is done for the processor that computes."""

import os
import sys
from pathlib import Path

import pytest
import torch

from diffusion_studio.engine.machine.devices import choose_device, named_devices
from diffusion_studio.engine.machine.memory import PATIENCE, Kept, keep_freed_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone returns memory so eagerly")
def test_that_memory_which_is_asked_for_again_is_not_fetched_page_by_page():
    resource = pytest.importorskip("resource")
    if not keep_freed_memory():
        pytest.skip("another C library")

    def use() -> None:
        kept = [torch.full((1 << 19,), 1.0) for _ in range(4)]  # 2 MB each, as a network's features are
        del kept

    for _ in range(5):
        use()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        use()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 50 * 2048 / 20  # 2,048 pages of 4 kB each time, if they were given back


def test_that_free_memory_is_given_back_now_and_then():
    now = [0.0]
    kept = Kept(lambda: now[0])
    if not keep_freed_memory():
        now[0] = PATIENCE
        assert not kept.give_back()  # another C library is left as it is
        return
    pieces = [bytearray(1 << 20) for _ in range(200)]  # of 1 MB, which come from a heap
    apart = pieces[1::2]  # so the heap does not end with what is free
    del pieces
    full = resident()
    assert not kept.give_back()
    now[0] = PATIENCE
    assert kept.give_back() and not kept.give_back()
    assert full - resident() > 80 << 20
    assert len(apart) == 100


def resident() -> int:
    """Bytes of this process in the machine's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_that_a_device_that_is_not_there_is_refused_with_what_is():
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match=r"Available: .*cpu"):
        choose_device("abacus")


def test_that_each_of_several_graphics_cards_can_be_chosen(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Card")
    assert named_devices()[:2] == [("cuda", "Card"), ("cuda:1", "Card · cuda:1")]
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cuda:0") == torch.device("cuda:0")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ValueError, match=r"no device 'cuda:2'.* Available: cuda, cuda:1, cpu"):
        choose_device("cuda:2")

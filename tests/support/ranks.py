"""Processes that train together: as threads that exchange what they say, or as real ones."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from diffusion_studio.engine.loop.descent import in_pairs
from diffusion_studio.engine.machine.ranks import RankError, Ranks
from support.patience import PATIENCE

T = TypeVar("T")


class Table:
    """Where threads lay down what they say, and see what all others said."""

    def __init__(self, count: int) -> None:
        self.barrier = threading.Barrier(count, timeout=PATIENCE)
        self.said: list[Any] = [None] * count

    def exchange(self, number: int, said: Any) -> list[Any]:
        self.said[number] = said
        try:
            self.barrier.wait()
            found = list(self.said)
            self.barrier.wait()
        except threading.BrokenBarrierError:
            raise RankError("Another process of this training ended.") from None
        return found


@dataclass(frozen=True)
class ThreadRanks(Ranks):
    """Threads in the place of processes; `group` is their table."""

    def add(self, tensors: Sequence[Tensor]) -> None:
        for tensor, *parts in zip(tensors, *self._all([x.detach().clone() for x in tensors]), strict=True):
            tensor.detach().copy_(in_pairs(parts, torch.add))

    def tell(self, said: Any) -> None:
        self._all(said)

    def hear(self) -> Any:
        return self._all(None)[0]

    def gathered(self, said: Any) -> list[Any]:
        return self._all(said)

    def hand_out(self, tensors: Mapping[str, Tensor]) -> None:
        self._all({name: x.detach().clone() for name, x in tensors.items()})

    def receive(self) -> dict[str, Tensor]:
        return {name: x.clone() for name, x in self._all(None)[0].items()}

    def _all(self, said: Any) -> list[Any]:
        return self.group.exchange(self.number, said)


def in_threads(count: int, work: Callable[[Ranks], T]) -> list[T]:
    """What `work` returns for each of `count` threads; the failure of the first that fails."""
    table = Table(count)

    def one(number: int) -> T:
        try:
            return work(ThreadRanks(number, count, table))
        except BaseException:
            table.barrier.abort()
            raise

    with ThreadPoolExecutor(count) as pool:
        waiting = [pool.submit(one, number) for number in range(count)]
    failed = [error for each in waiting if (error := each.exception()) is not None]
    if failed:
        raise next((error for error in failed if "training ended" not in str(error)), failed[0])
    return [each.result() for each in waiting]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start_processes(count: int, port: int, *command: str) -> list[subprocess.Popen[str]]:
    """The same command in real processes, as torchrun starts them on one machine."""
    return [start_process(number, count, port, *command) for number in range(count)]


def start_process(number: int, count: int, port: int, *command: str) -> subprocess.Popen[str]:
    place = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "MASTER_PORT": port}
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = os.environ | {name: str(value) for name, value in place.items()}
    environment |= {"MASTER_ADDR": "127.0.0.1", "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *command], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )

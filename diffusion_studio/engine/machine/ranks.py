"""Several processes that train one network together, as `torchrun` starts them.

Each of them draws the same batch, for a batch is a pure function of (seed, step), and computes rows of its
own. What they found is added, so that all take the same step. The first one decides, writes and draws; the
others hear from it.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from diffusion_studio.core.importing import ended_by_ctrl_c
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.machine.memory import is_out_of_memory
from diffusion_studio.models.side_by_side import slices

log = logging.getLogger(__name__)

_NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun gives to each process
_MEET = datetime.timedelta(minutes=10)  # until all processes are there
_WAIT = datetime.timedelta(days=2)  # for one that reads images or saves; one that ended is noticed at once
_STILL_EVERY = 60.0  # seconds between two words of a first process that rests, however long it does
_BLOCK = 256  # bytes of the first piece of what is told: most of it fits
_END = {"end": True}
_STILL = {"still": True}
_LAST_WORD = "last word"  # of a process that ends; on the board where they met


class RankError(Refused):
    """The processes of a training cannot work together; the message says why, for a person."""


class RankMemoryError(RankError, MemoryError):
    """One of the processes has too little memory for its part; the message says which one."""


@dataclass
class _Listeners:
    """All other processes, as the first one knows them."""

    listen: bool = True  # whether they hear what is told next, or are at work
    told: float = -math.inf  # when they were told something last


@dataclass(frozen=True)
class Ranks:
    """The processes that train one network, as one of them sees them; alone, where nothing else is said.

    Args:
        number: of this process, from 0; 0 is the first.
        count: how many there are.
        group: the way between them, once they have met.
        board: where each may leave a last word that the first one finds when it is gone.
    """

    number: int = 0
    count: int = 1
    group: Any = None
    board: Any = None
    others: _Listeners = field(default_factory=_Listeners, compare=False)

    @property
    def is_first(self) -> bool:
        return self.number == 0

    @property
    def reads_first(self) -> bool:
        """Whether it is the first one of its machine, whose cache of images the others find."""
        return os.environ.get("LOCAL_RANK", "0") == "0"

    @property
    def name(self) -> str:
        """What a person calls it: "Process 2 of 4"."""
        return f"Process {self.number + 1} of {self.count}"

    def rows(self, size: int) -> slice:
        """Those of a batch of `size` that are computed here; all processes together have each of them once.

        Raises:
            RankError: there are fewer rows than processes.
        """
        if size < self.count:
            raise RankError(
                f"A batch of {size} images cannot be shared by {self.count} processes: start fewer of them, "
                "or choose a larger batch."
            )
        return slices(size, self.count)[self.number]

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Puts the sum over all processes in the place of each; it has the same bits in all of them.

        Raises:
            RankError: another process is gone.
        """
        if self.count == 1:
            return
        for kind in dict.fromkeys(tensor.dtype for tensor in tensors):
            alike = [tensor for tensor in tensors if tensor.dtype == kind]
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in alike])
            with self._together():
                self._sum(flat)
            for tensor, found in zip(alike, torch.split(flat, [x.numel() for x in alike]), strict=True):
                tensor.detach().copy_(found.view(tensor.shape))

    def _sum(self, flat: Tensor) -> None:
        """In pairs, as the parts of a batch are, where a power of two processes has no graphics card."""
        if self.count == 2 or self.count & (self.count - 1) or flat.device.type != "cpu":
            dist.all_reduce(flat, group=self.group)
            return
        theirs, apart = torch.empty_like(flat), 1
        while apart < self.count:
            other = self.number ^ apart  # both add the two sums, which are of as many processes each
            ways = [dist.P2POp(dist.isend, flat, other, self.group)]
            ways.append(dist.P2POp(dist.irecv, theirs, other, self.group))
            for way in dist.batch_isend_irecv(ways):
                way.wait()
            flat += theirs
            apart *= 2

    def tell(self, said: Any) -> None:
        """The first one tells all others something that JSON can say; they `hear` it.

        Raises:
            RankError: another process is gone.
        """
        if self.count == 1:
            return
        self.others.told = time.monotonic()
        text = json.dumps(said).encode("ascii")
        self._send(torch.tensor([len(text)]), torch.frombuffer(bytearray(text), dtype=torch.uint8))

    def _send(self, length: Tensor, content: Tensor) -> None:
        block = torch.zeros(8 + _BLOCK, dtype=torch.uint8)
        block[:8] = length.view(torch.uint8)
        block[8 : 8 + len(content)] = content[:_BLOCK]
        with self._together():
            dist.broadcast(block, 0, self.group)
            if len(content) > _BLOCK:
                dist.broadcast(content, 0, self.group)

    def hear(self) -> Any:
        """What the first one tells.

        Raises:
            RankError: it is gone.
        """
        block = torch.empty(8 + _BLOCK, dtype=torch.uint8)
        with self._together():
            dist.broadcast(block, 0, self.group)
            length = int(block[:8].view(torch.int64))
            content = block[8 : 8 + length]
            if length > _BLOCK:
                content = torch.empty(length, dtype=torch.uint8)
                dist.broadcast(content, 0, self.group)
        return json.loads(bytes(content.numpy()))

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """All do what the first one told: where it fails in here, nobody hears what it tells after that."""
        self.others.listen = False
        yield
        self.others.listen = True

    def keep_waiting(self) -> None:
        """The first one rests, and says now and then that it is still there, or it would be given up.

        Raises:
            RankError: another process is gone.
        """
        if self.count > 1 and time.monotonic() - self.others.told >= _STILL_EVERY:
            self.tell(_STILL)

    def gathered(self, said: Any) -> list[Any]:
        """What each process says, in their order; all of them get it.

        Raises:
            RankError: another process is gone.
        """
        text = json.dumps(said).encode("ascii")
        lengths = torch.zeros(self.count, dtype=torch.int64)
        lengths[self.number] = len(text)
        self.add([lengths])
        whole = torch.zeros(self.count, int(lengths.max()), dtype=torch.int32)
        whole[self.number, : len(text)] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        self.add([whole])
        rows = zip(whole.to(torch.uint8), lengths.tolist(), strict=True)
        return [json.loads(bytes(row[:length].numpy())) for row, length in rows]

    def hand_out(self, tensors: Mapping[str, Tensor]) -> None:
        """The first one gives tensors to all others, who `receive` them.

        Raises:
            RankError: another process is gone.
        """
        if self.count == 1:
            return
        self.tell([[name, str(x.dtype).removeprefix("torch."), list(x.shape)] for name, x in tensors.items()])
        for tensor in tensors.values():
            with self._together():
                dist.broadcast(tensor.detach().cpu().contiguous(), 0, self.group)

    def receive(self) -> dict[str, Tensor]:
        """What the first one hands out, on the processor.

        Raises:
            RankError: it is gone.
        """
        found = {}
        for name, kind, shape in self.hear():
            found[name] = torch.empty(shape, dtype=getattr(torch, kind))
            with self._together():
                dist.broadcast(found[name], 0, self.group)
        return found

    def end(self) -> None:
        """The first one is done, however it ended: the others are told if they hear it. Whoever is at work
        notices that it is gone.
        """
        if self.is_first and self.others.listen:
            with contextlib.suppress(RankError):
                self.tell(_END)

    def without_memory(self) -> RankMemoryError:
        """That this one has too little memory; the first one will find that said when it is gone."""
        said = f"{self.name} has run out of memory."
        with contextlib.suppress(RuntimeError):
            self.board.set(_LAST_WORD, said)
        return RankMemoryError(said)

    @contextlib.contextmanager
    def _together(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, ValueError) as error:  # what torch.distributed raises
            if is_out_of_memory(error):
                raise
            log.error("The processes of a training lost each other", exc_info=error)
            raise self._lost() from error

    def _lost(self) -> RankError:
        """Why another process is gone, as far as the first one can know."""
        with contextlib.suppress(RuntimeError):
            if self.is_first and self.board is not None and self.board.check([_LAST_WORD]):
                return RankMemoryError(self.board.get(_LAST_WORD).decode())
        return RankError(
            "Another process of this training ended or cannot be reached any more, so this one ends as well."
        )


ALONE = Ranks()


def is_end(said: Any) -> bool:
    """Whether the first process ended, well or not, so that the others end too."""
    return bool(said == _END)


def is_still_there(said: Any) -> bool:
    """Whether the first process rests and says no more than that it is there."""
    return bool(said == _STILL)


def launched() -> Ranks:
    """This process among those that `torchrun` started with it, before they have met.

    Raises:
        RankError: what it was started with makes no sense.
    """
    given = [os.environ.get(name, "") for name in _NAMES]
    if not all(given):
        return ALONE
    try:
        number, count, port = int(given[0]), int(given[1]), int(given[3])
    except ValueError:
        number = count = port = -1
    if not (0 <= number < count and 0 < port < 1 << 16):
        said = ", ".join(f"{name}={value}" for name, value in zip(_NAMES, given, strict=True))
        raise RankError(f"{said} is no place among several processes: unset these, or let torchrun set them.")
    return Ranks(number, count)


@contextlib.contextmanager
def joined(met: AbstractContextManager[None] | None = None) -> Iterator[Ranks]:
    """This process together with the others, which it has met; alone where it was started alone.

    When the first one is done here, however it ended, the others are told.

    Args:
        met: entered once they have met. Until then a process only waits, and whatever ends it may do so.

    Raises:
        RankError: they do not meet.
    """
    ranks = launched()
    if ranks.count == 1:
        with met or nullcontext():
            yield ALONE
        return
    with ended_by_ctrl_c():
        ranks = _met(ranks)
    with met or nullcontext():
        try:
            yield ranks
        except Exception as error:
            if ranks.is_first or not is_out_of_memory(error):
                raise
            log.error("There is too little memory", exc_info=error)
            raise ranks.without_memory() from error
        finally:
            ranks.end()
            with contextlib.suppress(RuntimeError, ValueError):
                dist.destroy_process_group()


def _met(ranks: Ranks) -> Ranks:
    """From now on they wait long: one of them may read a large folder while the others have nothing to do."""
    if not dist.is_available():
        raise RankError("This torch was built without torch.distributed: it trains in one process alone.")
    from torch.distributed.rendezvous import rendezvous  # what such a torch has not

    on_cards = torch.cuda.is_available() and dist.is_nccl_available()
    kind = "cpu:gloo,cuda:nccl" if on_cards else "gloo"
    try:
        board, number, count = next(rendezvous("env://", timeout=_MEET))
        board.set_timeout(_MEET)
        dist.init_process_group(kind, timeout=_MEET, store=board, rank=number, world_size=count)
        return replace(ranks, group=dist.new_group(timeout=_WAIT), board=board)
    except (RuntimeError, ValueError) as error:
        log.error("The processes of a training did not meet", exc_info=error)
        raise RankError(_why_apart(ranks, error)) from error


def _why_apart(ranks: Ranks, error: Exception) -> str:
    reason = str(error).lower()
    host, port = os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]
    if "eaddrinuse" in reason or "address already in use" in reason:
        return f"Port {port} is in use by another program: choose a free one with torchrun --master-port."
    what = "the others did not come" if ranks.is_first else "the first one cannot be reached"
    return f"{ranks.name} waited in vain at {host}:{port}: {what}. Are all started, with one address?"


def device_here(choice: str) -> str:
    """The graphics card that belongs to this process, where each of several has one; else the choice itself.

    Raises:
        RankError: there are more processes on this machine than graphics cards.
    """
    number = os.environ.get("LOCAL_RANK", "")
    if launched().count == 1 or choice not in ("auto", "cuda") or not torch.cuda.is_available():
        return choice
    cards = torch.cuda.device_count()
    if not number.isdecimal() or int(number) >= cards:
        raise RankError(
            f"This machine has {cards} graphics card{'s' if cards > 1 else ''} for more processes than that: "
            "start one for each card, or choose --device cpu."
        )
    torch.cuda.set_device(int(number))
    return f"cuda:{number}"

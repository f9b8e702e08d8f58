"""The one loop for everything that trains, as a generator of events.

The caller owns the window, the progress bar and the thread; the task what is learned; the loop the clock, the
limits, pause and stop, saving, and what is done when something goes wrong.
"""

from __future__ import annotations

import math
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.jobs.failures import is_full, words_for
from diffusion_studio.engine.loop.keeper import Keeper, LostError
from diffusion_studio.engine.loop.rest import Others
from diffusion_studio.engine.loop.task import Counters, Divisible, Limits, Task, Watchful
from diffusion_studio.engine.machine.memory import is_out_of_memory

TELL_EVERY = 0.25  # seconds between Progress events: a window shows no more
CHECK_EVERY = 1.0  # seconds between looks at the place in which the training is kept
LOOK_AGAIN = 0.2  # seconds between two of them at the end
RATES = 9  # of the last tellings, whose median is the speed
SKIPS_BEFORE_PAUSE = 5  # steps in a row whose loss is not a number

Telling = Generator[events.Event, None, None]
Training = Generator[events.Event, None, events.Finished]
"""The events of a training, and how it ended."""


def train(
    task: Task, control: Control, limits: Limits | Callable[[], Limits], keeper: Keeper | None = None,
    counters: Counters | None = None,
) -> Iterator[events.Event]:  # fmt: skip
    """Trains until a limit, a stop or a failure; `Finished` is always the last event.

    Args:
        limits: when it ends; as a function, when it ends as things stand.
        keeper: where the training is kept, or None: nowhere.
        counters: how far it has come; they move on with it.
    """
    return finishing(trained(task, control, limits, keeper, counters))


def trained(
    task: Task, control: Control, limits: Limits | Callable[[], Limits], keeper: Keeper | None = None,
    counters: Counters | None = None,
) -> Training:  # fmt: skip
    """As `train`, but the last event is returned, so that more can come before it."""
    standing = limits if callable(limits) else lambda: limits
    return _Loop(task, control, standing, keeper, counters or Counters()).run()


def finishing(training: Training) -> Iterator[events.Event]:
    """The events of a training with `Finished` as the last one, whatever happens around its loop."""
    try:
        finished = yield from training
    except Cancelled:
        finished = events.Finished("stopped", tr("Stopped before the first step; nothing was written."))
    except Exception as error:
        finished = events.Finished("failed", words_for(error), traceback.format_exc())
    yield finished


class _Loop:
    def __init__(
        self, task: Task, control: Control, limits: Callable[[], Limits], keeper: Keeper | None,
        counters: Counters,
    ) -> None:  # fmt: skip
        self.task, self.control, self._limits = task, control, limits
        self.keeper, self.counters = keeper, counters
        self._others = Others(keeper, control)
        self._first = counters.step
        self._losses: list[Tensor] = []  # on the device, since they were told
        self._rates: deque[float] = deque(maxlen=RATES)  # images a second, between one telling and the next
        self._counted = (counters.seconds, counters.position)  # at the last of them
        self._clock = 0.0  # when the training time was last counted
        self._streak = 0  # steps in a row whose loss was not a number
        self._saved_seconds = counters.seconds
        self._told = self._checked = -math.inf

    def run(self) -> Training:
        """Every event to the end, and how it ended."""
        try:
            yield from self._steps()
            trouble = yield from self._save(SKIPS_BEFORE_PAUSE - 1, last=True)
        except Exception as error:
            yield from self._rescue(error)
            finished = self._failed(error)
        else:
            finished = self._ended(trouble)
        if self.keeper is not None:
            self.keeper.ended(finished)
        return finished

    def _steps(self) -> Telling:
        self._clock = time.perf_counter()
        while (share := self._share) < 1 and not self.control.stopped:
            if self.control.paused:
                yield from self._save_on_the_way(SKIPS_BEFORE_PAUSE - 1)
                yield from self._pause()
                continue
            if self.control.asked:
                wishes = self.control.wishes
                yield from self._tell()
                self.control.forget(wishes)  # what the task did not take would be asked for ever
                share = self._share
            self._step(share)
            if self._clock - self._told >= TELL_EVERY:
                yield from self._tell()
            if self._save_due:
                yield from self._save_on_the_way(0)

    def _step(self, share: float) -> None:
        counters = self.counters
        self._losses.append(self.task.step(counters.step, share))
        counters.step += 1
        counters.position += self.task.size
        now = time.perf_counter()
        counters.seconds, self._clock = counters.seconds + now - self._clock, now

    @property
    def limits(self) -> Limits:
        return self._limits()

    @property
    def _share(self) -> float:
        return self.limits.share(self.counters.step, self.counters.seconds)

    @property
    def _save_due(self) -> bool:
        limits = self.limits
        by_steps = limits.save_every > 0 and self.counters.step % limits.save_every == 0
        late = self.counters.seconds - self._saved_seconds >= limits.save_seconds
        return self._others.reached and (self._others.owed or by_steps or late)

    # --- telling --------------------------------------------------------------------------------------

    def _tell(self, last: bool = False) -> Telling:
        """Copies the losses that were gathered, tells them, and lets the task tell the rest."""
        self._told = time.perf_counter()
        losses = self._take_losses()
        progress = self._progress(losses)
        if len(losses):
            yield from self._say(progress)
        for event in self.task.tell(progress, last):
            yield from self._say(event)
        if self._told - self._checked >= CHECK_EVERY:
            self._checked = self._told
            self._others.heed()
        yield from self._watch(losses)

    def _take_losses(self) -> NDArray[np.float32]:
        """The loss of each step since the last time."""
        if not self._losses:
            return np.empty(0, np.float32)
        means = [loss.mean() if loss.ndim else loss for loss in self._losses]
        losses = torch.stack(means).float().cpu().numpy()
        self._losses = []
        self._count_rate()
        return losses

    def _count_rate(self) -> None:
        """By training time alone; what was told or drawn in between makes one of many rates small."""
        (then, before), now = self._counted, (self.counters.seconds, self.counters.position)
        if now[0] > then:
            self._rates.append((now[1] - before) / (now[0] - then))
        self._counted = now

    def _progress(self, losses: NDArray[np.float32]) -> events.Progress:
        counters, limits = self.counters, self.limits
        rate = median(self._rates) if self._rates else 0.0
        return events.Progress(
            counters.step, limits.steps, counters.seconds, limits.seconds, rate,
            counters.step - len(losses) + 1, losses,
        )  # fmt: skip

    def _say(self, event: events.Event) -> Telling:
        """Tells an event; what the receiver does with it is not training time."""
        left = time.perf_counter()
        if self.keeper is None:
            yield event
        else:
            yield from self.keeper.heard(event)
        away = time.perf_counter() - left
        self._clock, self._told = self._clock + away, self._told + away

    def _warn(self, sentence: str) -> Telling:
        yield from self._say(events.Warned(sentence, self.counters.step))

    def _watch(self, losses: NDArray[np.float32]) -> Telling:
        """Counts losses that are not numbers; too many in a row pause the training."""
        if all(map(math.isfinite, losses.tolist())):  # of a few, faster than numpy is
            self._streak = 0 if len(losses) else self._streak
            return
        bad = ~np.isfinite(losses)
        self.counters.skipped_steps += int(bad.sum())
        after_last_good = len(bad) if bad.all() else int(np.argmin(bad[::-1]))
        self._streak = self._streak + after_last_good if bad.all() else after_last_good
        yield from self._warn(
            tr(
                "The loss was not a number; the step was skipped ({skipped} so far).",
                skipped=self.counters.skipped_steps,
            )
        )
        if self._streak >= SKIPS_BEFORE_PAUSE:
            self.control.pause()
            said = tr(
                "The loss was not a number {times} times in a row, so training was paused.",
                times=self._streak,
            )
            yield from self._pause(_joined(said, self._kept, tr("Try a smaller learning rate.")))

    def _pause(self, reason: str = "") -> Telling:
        if not self.control.paused:  # resumed while it was saved
            self._others.mark(False)
            return
        self._others.mark(True)
        yield from self._say(events.Paused(self.counters.step, reason))
        self._others.wait(CHECK_EVERY, self.task.rest if isinstance(self.task, Watchful) else None)
        self._others.mark(False)
        self._clock = time.perf_counter()
        if not self.control.stopped:
            self._streak = 0
            yield from self._say(events.Resumed(self.counters.step))

    # --- saving ---------------------------------------------------------------------------------------

    def _save_on_the_way(self, tolerated: int) -> Telling:
        trouble = yield from self._save(tolerated)
        if trouble:
            yield from self._warn(tr("{trouble} Training goes on.", trouble=trouble))

    def _save(self, tolerated: int, last: bool = False) -> Generator[events.Event, None, str]:
        """Tells what is left and puts this step on disk; why it is not there, as a sentence, or "".

        Args:
            tolerated: the most steps in a row that may just have been skipped.
        """
        yield from self._tell(last)
        step, keeper = self.counters.step, self.keeper
        if keeper is None:
            return ""
        if not self._others.look():
            if not last:
                return ""  # its keeper says so, and it is saved when it can be
            yield from self._warn(tr("Step {step:,} is saved when its folder is there again.", step=step))
            self._others.wait_for_place(LOOK_AGAIN)
        if step == keeper.step:
            return ""
        self._saved_seconds, self._others.owed = self.counters.seconds, False
        content = self.task.state()
        learned = step == self._first or self._streak < step - self._first
        if not learned or self._streak > tolerated or not content.is_finite:
            return _joined(
                tr("Step {step:,} was not saved: {reason}", step=step, reason=self._doubt), keeper.kept
            )
        try:
            path = keeper.save(self.counters, content)
        except OSError as error:
            why = tr("Step {step:,} could not be saved: {reason}.", step=step, reason=error.strerror or error)
            return _joined(why, keeper.kept, tr("Free some disk space.") if is_full(error) else "")
        yield from self._say(events.Saved(step, path))
        return ""

    @property
    def _doubt(self) -> str:
        if self._streak:
            return tr("the loss was not a number, and the weights may not be sound.")
        return tr("its weights are not numbers.")

    @property
    def _kept(self) -> str:
        return "" if self.keeper is None else self.keeper.kept

    # --- the end --------------------------------------------------------------------------------------

    def _ended(self, trouble: str) -> events.Finished:
        step = self.counters.step
        if trouble:
            return events.Finished("failed", trouble, step=step)
        outcome: events.Outcome = "stopped" if self.control.stopped else "done"
        return events.Finished(outcome, "" if self.keeper is None else self.keeper.farewell(step), step=step)

    def _rescue(self, error: Exception) -> Telling:
        """After a failure: keeps the work since the last save, if it is sound and there is a place for it."""
        if isinstance(error, LostError) or not self._unsaved:
            return
        try:
            trouble = yield from self._save(SKIPS_BEFORE_PAUSE - 1)
            if trouble:
                error.add_note(f"Saving after the failure failed too: {trouble}")
        except Exception as second:
            error.add_note(f"Saving after the failure failed too: {second}")

    @property
    def _unsaved(self) -> bool:
        return self.keeper is not None and self.counters.step > max(self.keeper.step, 0)

    def _failed(self, error: Exception) -> events.Finished:
        """How it ended: which step it failed at, why, and which step is on disk if it is another one."""
        step, parts, smaller = self.counters.step, 0, 0
        finer = self.task.finer if isinstance(self.task, Divisible) else 0
        if isinstance(error, LostError):
            return events.Finished("failed", str(error), _traceback_of(error), step)
        message = _words(error, _too_large(self.task.size, finer))
        if is_out_of_memory(error):
            parts, smaller = finer, 0 if finer else self.task.size // 2
        else:
            message = tr("Training stopped after step {step:,}. {message}", step=step, message=message)
        if self._unsaved:
            message = _joined(message, self._kept)
        return events.Finished("failed", message, _traceback_of(error), step, parts, smaller)


def _words(error: Exception, too_large: str) -> str:
    """Too little memory in another process has a sentence of its own before what may be done."""
    elsewhere = is_out_of_memory(error) and isinstance(error, Refused)
    return _joined(str(error), too_large) if elsewhere else words_for(error, too_large)


def _too_large(size: int, parts: int) -> str:
    if parts:
        advice = tr(
            "Try again with each step in {parts} parts, which needs less and learns the same.", parts=parts
        )
    elif size > 1:
        advice = tr("Try again with a batch of {size}.", size=size // 2)
    else:
        advice = tr("Choose a smaller network or a lower resolution.")
    return tr("There is not enough memory for a batch of {size} images. {advice}", size=size, advice=advice)


def _traceback_of(error: Exception) -> str:
    return "".join(traceback.format_exception(error))


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)

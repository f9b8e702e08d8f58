"""Whether helper threads are worth their while as a training goes on (docs/adr/0007)."""

from __future__ import annotations

from diffusion_studio.engine.jobs.events import Progress

SLOWER = 0.5  # share of the best speed so far below which other programs are at work
CLEARLY = 0.9  # share of another way's time below which a way to compute is clearly faster
KEPT = 0.98  # share of the speed in parts from which helpers are kept that are tried again
PATIENCE = 10.0  # seconds of training with nothing beside it until helpers are tried again
STEPS = 10  # that it takes meanwhile, at least
BESIDE, FASTER = "beside other programs", "faster than with helper threads"  # why batches go on in parts


class Pace:
    """Compares the speed of a training with helper threads and in parts without them.

    One way is given up for the other only after it was seen to be slow, and helpers are tried again with
    twice the patience each time, so that no training goes to and fro.
    """

    def __init__(self) -> None:
        self._best = 0.0  # images a second with helpers
        self._apart = 0.0  # images a second in parts, with nothing beside them
        self._since: tuple[float, int] | None = None  # seconds and steps when the last company was seen
        self._patience = PATIENCE

    def gives_up(self, progress: Progress) -> str:
        """Why helpers, which it has, are no longer worth their while: BESIDE, FASTER, or ""."""
        rate, self._since = progress.images_per_second, None
        self._best = max(self._best, rate)
        if rate < SLOWER * self._best:
            return BESIDE
        return FASTER if rate < KEPT * self._apart else ""

    def may_be_helped(self, progress: Progress, size: int, beside: bool) -> bool:
        """Whether helpers, which it has not, are worth a trial.

        Args:
            size: images in each step.
            beside: whether other programs keep the processors busy now.
        """
        if self._since is None or beside:
            self._since = progress.seconds, progress.step
        seconds, steps = progress.seconds - self._since[0], progress.step - self._since[1]
        if seconds < self._patience or steps < STEPS:
            return False
        self._best, self._apart = 0.0, size * steps / seconds
        self._patience *= 2
        return True

"""The errors by timestep over a training, thinned out as it grows."""

from __future__ import annotations

from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.events import TimestepErrors

MOST = 240
EVERY = 2.0  # share of the newest step by which two kept moments differ at least, in percent


class TimestepHistory:
    """Moments of a training from its first to its newest; the last is always the newest."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._moments: list[TimestepErrors] = []

    def __len__(self) -> int:
        return len(self._moments)

    @property
    def steps(self) -> list[int]:
        return [moment.step for moment in self._moments]

    @property
    def newest(self) -> TimestepErrors | None:
        return self._moments[-1] if self._moments else None

    def at(self, index: int) -> TimestepErrors | None:
        """The moment with this index, or the newest; None before the first."""
        return self._moments[min(index, len(self._moments) - 1)] if self._moments else None

    def add(self, moment: TimestepErrors) -> None:
        """Takes a newer moment; one that is hardly newer than the one before takes its place."""
        kept = self._moments
        if len(kept) > 1 and kept[-1].step - kept[-2].step < EVERY / 100 * moment.step:
            kept.pop()
        kept.append(moment)
        if len(kept) > MOST:
            self._moments = [*kept[:-1:2], kept[-1]]

    def restore(self, run: Run) -> None:
        """Begins with what a run has on disk."""
        self._moments = [TimestepErrors(**vars(record)) for record in run.metrics.timestep_history(MOST)]

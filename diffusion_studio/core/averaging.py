"""The running average of a network's weights, which is what samples."""

from __future__ import annotations


def decay_at(number: int, decay: float) -> float:
    """How much of the average is kept in update `number`, counted from 0: a young average moves fast.

    Source:
        min(d, (1 + n)/(10 + n)), the rule of TensorFlow's ExponentialMovingAverage.
    """
    return min(decay, (1 + number) / (10 + number))

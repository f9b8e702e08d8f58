"""What the plots compute before they draw: averages, bands, ticks. Pure numpy."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffusion_studio.core.words import number

Floats = NDArray[np.float64]

_BLOCK = 64


def debiased_average(values: ArrayLike, decay: float, part: int = 0) -> Floats:
    """Exponential moving average, divided by the weight that it has seen so far, as in Adam (algorithm 1).

    `values` (N,), `decay` in [0, 1). It looks back over 1 / (1 − decay) values, with a `part` over one
    `part`-th of those before at most. What is not finite is left out: it neither counts nor decays the rest
    away; before the first finite value the average is NaN.
    """
    y = np.asarray(values, dtype=np.float64)
    if not 0 <= decay < 1:
        raise ValueError(f"decay must be in [0, 1), not {decay}")
    seen = np.isfinite(y)
    sums = _warmed_sums(np.stack([np.where(seen, y, 0.0), seen.astype(np.float64)]), decay, part)  # (2, N)
    average: Floats = np.divide(sums[0], sums[1], out=np.full(y.shape, np.nan), where=sums[1] > 0)
    return average


def _warmed_sums(values: Floats, decay: float, part: int) -> Floats:
    """The decayed sums, with k/(k + part) for `decay` at value k as long as that is less. (2, N)"""
    head = min(math.ceil(part * decay / (1 - decay)), values.shape[1])
    sums, total = np.empty_like(values), np.zeros(len(values))
    for k in range(head):
        total = k / (k + part) * total + values[:, k]
        sums[:, k] = total
    rest = values[:, head:]
    sums[:, head:] = _decayed_sums(rest, decay) + total[:, None] * decay ** np.arange(1, rest.shape[1] + 1)
    return sums


def _decayed_sums(values: Floats, decay: float) -> Floats:
    """S_k = decay · S_{k−1} + v_k along the last axis: blocks by matrix, their carry one by one."""
    rows, n = values.shape
    blocks = -(-n // _BLOCK)
    padded = np.zeros((rows, blocks * _BLOCK))
    padded[:, :n] = values
    lag = np.subtract.outer(np.arange(_BLOCK), np.arange(_BLOCK))
    kernel = np.where(lag >= 0, float(decay) ** np.maximum(lag, 0), 0.0)
    inside = padded.reshape(rows, blocks, _BLOCK) @ kernel.T
    carry = np.array([_carried(ends, decay**_BLOCK) for ends in inside[:, :, -1].tolist()])
    powers = float(decay) ** np.arange(1, _BLOCK + 1)
    sums: Floats = (inside + carry[:, :, None] * powers).reshape(rows, -1)[:, :n]
    return sums


def _carried(ends: list[float], decay: float) -> list[float]:
    """What each block inherits from those before it."""
    carried, total = [], 0.0
    for end in ends:
        carried.append(total)
        total = total * decay + end
    return carried


def band(x: ArrayLike, y: ArrayLike, bins: int) -> tuple[Floats, Floats, Floats]:
    """The least and greatest `y` in at most `bins` runs of neighbours: edges (K+1,), low (K,), high (K,).

    Where a run has no finite value, its band is NaN.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    count = min(max(int(bins), 1), len(xs))
    if count == 0:
        return np.empty(0), np.empty(0), np.empty(0)
    starts = np.linspace(0, len(xs), count, endpoint=False).astype(np.int64)
    finite = np.isfinite(ys)
    low = np.minimum.reduceat(np.where(finite, ys, np.inf), starts)
    high = np.maximum.reduceat(np.where(finite, ys, -np.inf), starts)
    empty = low > high
    low[empty] = high[empty] = np.nan
    return np.append(xs[starts], xs[-1]), low, high


def thin(n: int, most: int) -> NDArray[np.int64]:
    """At most about `most` indices of 0..n−1, evenly spread, with both ends."""
    if n <= max(most, 2):
        return np.arange(n)
    return np.unique(np.linspace(0, n - 1, max(most, 2)).round().astype(np.int64))


def nice_ticks(low: float, high: float, count: float) -> list[float]:
    """About `count` multiples of 1, 2 or 5 times a power of ten in [low, high]; never just one of them."""
    low, high = min(low, high), max(low, high)
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low] if math.isfinite(low) else []
    raw = span / max(count, 1.0)
    power = 10.0 ** math.floor(math.log10(raw))
    steps = [m * power for m in (10, 5, 2, 1, 0.5)]
    finest = next(k for k in (3, 2, 1, 0) if steps[k] >= raw * (1 - 1e-9))
    found = _multiples(steps[finest], low, high)
    return found if len(found) > 1 else _multiples(steps[finest + 1], low, high)


def _multiples(step: float, low: float, high: float) -> list[float]:
    """Those within [low, high]."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def log_ticks(low: float, high: float, count: float) -> list[float]:
    """Ticks on a logarithmic axis as exponents: 1, 2, 5 per decade, decades, or every k-th decade."""
    low, high = min(low, high), max(low, high)
    if not math.isfinite(high - low) or high - low > 300:
        return []
    first, last = math.floor(low), math.ceil(high)
    if high - low < 0.6:
        values = nice_ticks(10.0**low, 10.0**high, count)
        return [math.log10(v) for v in values if v > 0]
    fine = [d + math.log10(m) for d in range(first, last + 1) for m in (1, 2, 5)]
    fine = [v for v in fine if low - 1e-9 <= v <= high + 1e-9]
    if len(fine) <= count * 1.5:
        return fine
    every = max(1, math.ceil((high - low) / max(count, 1)))
    decades = [float(d) for d in range(first, last + 1) if low - 1e-9 <= d <= high + 1e-9 and d % every == 0]
    return decades if len(decades) > 1 else [fine[0], fine[-1]]


def tick_text(value: float, most: float = 1e7) -> str:
    """A number as an axis or a readout shows it: 0.05, 12,000, 3e-4, −2; with an exponent from `most` on."""
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    if size and (size < 1e-3 or size >= most):
        mantissa, exponent = f"{value:.1e}".split("e")
        text = f"{number(float(mantissa), 'g')}e{int(exponent)}"
    elif size >= 10000:
        text = number(value, ",.0f")
    else:
        text = number(value, ".4g" if size < 1000 else ".6g")
    return text.replace("-", "−") if text.startswith("-") else text


def with_minus_signs(text: str) -> str:
    """A sentence with a minus sign before each number below 0; hyphens between words stay what they are."""
    return re.sub(r"(?<!\w)-(?=[\d.]|inf)", "−", text)


def power_text(value: float) -> str:
    """A number with a power of ten where it is far from one, as it is written by hand: 4.1 · 10⁷."""
    if not math.isfinite(value) or not value or 1e-3 <= abs(value) < 1e5:
        return tick_text(float(f"{value:.3g}"))
    mantissa, exponent = f"{value:.1e}".split("e")
    raised = str(int(exponent)).translate(_RAISED)
    return f"{number(float(mantissa), 'g')} · 10{raised}".replace("-", "−")


def plain_text(value: float, spec: str) -> str:
    """A number as `spec` writes it; with a power of ten from 10⁵ on, and a dash where there is none."""
    if math.isfinite(value) and abs(value) < 1e5:
        return number(value, spec).replace("-", "−")
    return power_text(value).replace(" ", "\u00a0")


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SUBSCRIPTS = {"_t": "ₜ", "_s": "ₛ", "_0": "₀", "_1": "₁"}


def lowered(text: str) -> str:
    """`text` with its commonest subscripts lowered."""
    for written, small in _SUBSCRIPTS.items():
        text = text.replace(written, small)
    return text

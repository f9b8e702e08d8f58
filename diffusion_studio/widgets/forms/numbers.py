"""Numbers as people type and drag them: reading, writing, stepping, and the slider's scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

from diffusion_studio.core.describe import Knob
from diffusion_studio.core.refused import Refused

Number = int | float

_FLOOR = 1e-6  # a logarithmic slider that starts at 0 reaches down to this share of its high end
_POSITIONS = 1000


def parse_number(text: str, knob: Knob) -> Number:
    """The number in `text` (its unit may follow) or the one its word stands for, within the knob's bounds.

    An int is rounded, to the multiple that the knob asks for.

    Raises:
        Refused: with a sentence for a person.
    """
    for known, word in knob.words:
        if text.strip().lower() == word:
            meant: Number = known
            return meant
    plain = text.strip().replace("−", "-").removesuffix(knob.unit).translate(_SPACES)
    try:
        value = float(plain)
    except ValueError:
        hint = f" Write {plain.replace(',', '.')}." if "," in plain else ""
        raise Refused(f"“{text.strip()}” is not a number.{hint}") from None
    if not math.isfinite(value):
        raise Refused("The number must be finite.")
    number: Number = _whole(value, knob.multiple) if knob.type == "int" else value
    if not within(number, knob):
        raise Refused(bounds_sentence(knob))
    return number


def _whole(value: float, multiple: int) -> int:
    """The nearest multiple."""
    return round(value / multiple) * multiple


_SPACES = dict.fromkeys(map(ord, "\u0020\u00a0\u2009\u202f"))


def parse_numbers(text: str) -> tuple[Number, ...]:
    """Numbers between commas, semicolons or spaces.

    Raises:
        Refused: with a sentence for a person.
    """
    words = text.replace(",", " ").replace(";", " ").replace("−", "-").split()
    return tuple(_plain(word) for word in words)


def _plain(word: str) -> Number:
    try:
        return int(word)
    except ValueError:
        pass
    try:
        value = float(word)
    except ValueError:
        raise Refused(f"“{word}” is not a number; write numbers with commas between.") from None
    if not math.isfinite(value):
        raise Refused("Every number must be finite.")
    return value


def format_number(value: Number) -> str:
    """The shortest text that reads back as `value` to twelve digits: 50, 0.4, 2e-3."""
    if isinstance(value, int):
        return str(value)
    if value == 0:
        return "0"
    if 1e-2 <= abs(value) < 1e6:
        return f"{value:.12g}"
    mantissa, exponent = f"{value:.11e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    short = f"{mantissa}e{int(exponent)}"
    return min(f"{value:.12g}", short, key=len) if abs(value) >= 1e-3 else short


def format_numbers(values: tuple[Number, ...]) -> str:
    return ", ".join(format_number(value) for value in values)


def within(value: Number, knob: Knob) -> bool:
    """Whether `value` lies within the knob's bounds."""
    low = knob.low is None or value > knob.low or (value == knob.low and not knob.open_low)
    high = knob.high is None or value < knob.high or (value == knob.high and not knob.open_high)
    return low and high


def bounds_sentence(knob: Knob) -> str:
    """The allowed values as a sentence."""
    unit = f" {knob.unit}" if knob.unit else ""
    whole = "a whole number " if knob.type == "int" else ""
    low, high = (format_number(_tidy(b)) + unit if b is not None else "" for b in (knob.low, knob.high))
    above = f"above {low}" if knob.open_low else f"at least {low}"
    below = f"below {high}" if knob.open_high else f"at most {high}"
    if low and high and not knob.open_low and not knob.open_high:
        return f"Must be {whole}from {low.removesuffix(unit) if unit else low} to {high}."
    limits = " and ".join(part for part, bound in ((above, low), (below, high)) if bound)
    return f"Must be {whole}{limits}." if limits else f"Any {'whole ' if whole else ''}number."


def _tidy(bound: float) -> Number:
    return int(bound) if float(bound).is_integer() and abs(bound) < 1e6 else bound


def step_of(value: Number, knob: Knob) -> Number:
    """What one press of an arrow key adds: a whole, or one in the second digit that matters."""
    if knob.scale == "log" or knob.low is None or knob.high is None:
        size = abs(value) or knob.low or 1e-2
        step = 10.0 ** (math.floor(math.log10(size)) - 1)
    else:
        step = 10.0 ** math.floor(math.log10((knob.high - knob.low) / 20))
    return max(_whole(step, knob.multiple), knob.multiple) if knob.type == "int" else step


def stepped(value: Number, steps: float, knob: Knob) -> Number:
    """`value` moved by `steps` presses of an arrow key, kept within the bounds."""
    step = step_of(value, knob)
    moved = float(f"{value + steps * step:.12g}")
    if knob.low is not None:
        moved = max(moved, knob.low)
    if knob.high is not None:
        moved = min(moved, knob.high)
    number: Number = _whole(moved, knob.multiple) if knob.type == "int" else moved
    return number if within(number, knob) else value


@dataclass(frozen=True)
class SliderScale:
    """The map between a slider's whole positions 0..`positions` and the values of a knob."""

    low: float
    high: float
    log: bool
    whole: bool
    open_low: bool = False
    open_high: bool = False
    multiple: int = 1

    @classmethod
    def of(cls, knob: Knob) -> SliderScale | None:
        """The scale of `knob`, if it is a number bounded on both sides."""
        if (
            knob.type not in ("int", "float")
            or knob.low is None
            or knob.high is None
            or knob.low >= knob.high
        ):
            return None
        log = knob.scale == "log" and knob.high > 0
        whole = knob.type == "int"
        return cls(knob.low, knob.high, log, whole, knob.open_low, knob.open_high, knob.multiple)

    @property
    def positions(self) -> int:
        span = self.high - self.low
        return int(span / self.multiple) if self.whole and not self.log and span <= _POSITIONS else _POSITIONS

    @property
    def _floor(self) -> float:
        return max(self.low, 0.5 if self.whole else self.high * _FLOOR) if self.log else self.low

    def value(self, position: int) -> Number:
        """The value at `position`: whole, or with as many digits as the slider can tell apart."""
        share = min(max(position / self.positions, 0.0), 1.0)
        if self.log:
            raw = self._floor * (self.high / self._floor) ** share
            raw = self.low if position <= 0 else float(f"{raw:.3g}")
        else:
            raw = self.low + share * (self.high - self.low)
            grain = 10.0 ** math.floor(math.log10((self.high - self.low) / self.positions) + 1e-9)
            raw = float(f"{round(raw / grain) * grain:.12g}")
        raw = self.high if position >= self.positions else min(max(raw, self.low), self.high)
        return _whole(self._inside(raw), self.multiple) if self.whole else self._inside(raw)

    def position(self, value: Number) -> int:
        """The position nearest to `value`; beyond the ends, the end."""
        if self.log:
            share = math.log(max(value, self._floor) / self._floor) / math.log(self.high / self._floor)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(min(max(share, 0.0), 1.0) * self.positions)

    def _inside(self, value: float) -> float:
        """`value`, moved off an end that is not allowed itself."""
        if self.open_low and value <= self.low:
            return self.low + 1 if self.whole else self._next_to(self.low, 1)
        if self.open_high and value >= self.high:
            return self.high - 1 if self.whole else self._next_to(self.high, -1)
        return value

    def _next_to(self, end: float, direction: int) -> float:
        if self.log and direction > 0:
            return float(f"{max(self._floor, self.low * 1.01):.3g}")
        return float(f"{end + direction * (self.high - self.low) / _POSITIONS:.6g}")

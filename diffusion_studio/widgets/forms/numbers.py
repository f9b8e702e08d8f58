"""Numbers as people type and drag them: reading, writing, stepping, and the slider's scale."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from diffusion_studio.core.describe import Knob
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import between, number, spoken, tr

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
        if text.strip().lower() == word.lower():
            meant: Number = known
            return meant
    value = _read(text, text.strip().replace("−", "-").removesuffix(knob.unit).translate(_SPACES))
    if not math.isfinite(value):
        raise Refused(tr("The number must be finite."))
    found: Number = _whole(value, knob.multiple) if knob.type == "int" else value
    if not within(found, knob):
        raise Refused(bounds_sentence(knob))
    return found


def _whole(value: float, multiple: int) -> int:
    """The nearest multiple."""
    return round(value / multiple) * multiple


_SPACES = dict.fromkeys(map(ord, "\u0020\u00a0\u2009\u202f"))
_PERHAPS_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}[.]\d{3}")  # 1.000: a thousand, or one


def _read(text: str, plain: str) -> float:
    """The number `plain`, its decimal mark that of the language or a point; `text` is what was typed.

    A mark between groups of digits is never read, and what may be one is refused.
    """
    point = spoken().marks[0]
    try:
        value = float(plain.replace(point, "."))
    except ValueError:
        raise Refused(_no_number(text.strip(), plain)) from None
    if point != "." and _PERHAPS_GROUPED.fullmatch(plain):
        whole, broken = plain.replace(".", ""), plain.replace(".", point)
        sentence = tr("“{text}” can be read in two ways. Write {whole} or {broken}.",
                      text=text.strip(), whole=whole, broken=broken)  # fmt: skip
        raise Refused(sentence)
    return value


def _no_number(text: str, plain: str) -> str:
    """That it is none, and what was perhaps meant by a point or comma between groups."""
    point = spoken().marks[0]
    group = "," if point == "." else "."
    if group not in plain:
        return tr("“{text}” is not a number.", text=text)
    meant = plain.replace(group, point if point not in plain and plain.count(group) == 1 else "")
    return tr("“{text}” is not a number. Write {meant}.", text=text, meant=meant)


def _parts(text: str) -> list[str]:
    """What stands between spaces, semicolons and commas that are no decimal marks."""
    return [part for part in re.split(_BETWEEN[spoken().marks[0] == ","], text) if part]


_BETWEEN = {False: r"[,;\s]+", True: r"(?:[;\s]|,(?!\d))+"}  # by whether a comma is the decimal mark


def parse_numbers(text: str) -> tuple[Number, ...]:
    """Numbers between commas, semicolons or spaces.

    Raises:
        Refused: with a sentence for a person.
    """
    return tuple(_plain(word) for word in _parts(text.replace("−", "-")))


def _plain(word: str) -> Number:
    try:
        return int(word)
    except ValueError:
        pass
    try:
        value = _read(word, word)
    except Refused:
        if _PERHAPS_GROUPED.fullmatch(word):
            raise
        raise Refused(tr("“{word}” is not a number; write numbers with commas between.", word=word)) from None
    if not math.isfinite(value):
        raise Refused(tr("Every number must be finite."))
    return value


def format_points(points: Iterable[tuple[float, float]]) -> str:
    """The points of a curve: "0:0.5, 1:2"."""
    return between().join(f"{number(x, 'g')}:{number(y, 'g')}" for x, y in points)


def plain_points(text: str) -> str:
    """Points as a person wrote them, as every language writes them in files: "0:0.5, 1:2".

    Raises:
        Refused: with a sentence for a person.
    """
    if spoken().marks[0] == ".":
        return text
    pairs = (part.split(":") for part in _parts(text.replace("−", "-")))
    return ", ".join(":".join(f"{_plain(side):.12g}" for side in pair) for pair in pairs)


def format_number(value: Number) -> str:
    """The shortest text that reads back as `value` to twelve digits: 50, 0.4, 2e-3."""
    if isinstance(value, int):
        return str(value)
    if value == 0:
        return "0"
    plain = number(value, ".12g")
    if 1e-2 <= abs(value) < 1e6:
        return plain
    mantissa, exponent = f"{value:.11e}".split("e")
    short = f"{number(float(mantissa), '.12g')}e{int(exponent)}"
    return min(plain, short, key=len) if abs(value) >= 1e-3 else short


def format_numbers(values: tuple[Number, ...]) -> str:
    return between().join(format_number(value) for value in values)


def within(value: Number, knob: Knob) -> bool:
    """Whether `value` lies within the knob's bounds."""
    low = knob.low is None or value > knob.low or (value == knob.low and not knob.open_low)
    high = knob.high is None or value < knob.high or (value == knob.high and not knob.open_high)
    return low and high


def bounds_sentence(knob: Knob) -> str:
    """The allowed values as a sentence."""
    limits = _limits(knob)
    if knob.type == "int":
        return tr("Must be a whole number {limits}.", limits=limits) if limits else tr("Any whole number.")
    return tr("Must be {limits}.", limits=limits) if limits else tr("Any number.")


def _limits(knob: Knob) -> str:
    """Both bounds, one, or ""."""
    unit = f" {knob.unit}" if knob.unit else ""
    low, high = (format_number(_tidy(b)) if b is not None else "" for b in (knob.low, knob.high))
    if low and high and not knob.open_low and not knob.open_high:
        return tr("from {low} to {high}", low=low, high=high + unit)
    above = tr("above {low}", low=low + unit) if knob.open_low else tr("at least {low}", low=low + unit)
    below = tr("below {high}", high=high + unit) if knob.open_high else tr("at most {high}", high=high + unit)
    if low and high:
        return tr("{above} and {below}", above=above, below=below)
    return above if low else below if high else ""


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
    found: Number = _whole(moved, knob.multiple) if knob.type == "int" else moved
    return found if within(found, knob) else value


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

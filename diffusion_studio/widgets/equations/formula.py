"""LaTeX to SVG, in any thread: a pure function with a lock and a cache in front of ziamath."""

from __future__ import annotations

import base64
import html
import math
import re
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from threading import Lock
from typing import Any

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QRectF, Qt
from PySide6.QtGui import QGuiApplication, QImage, QImageWriter, QPainter
from PySide6.QtSvg import QSvgRenderer

_CACHE_SIZE = 1024
_Key = tuple[str, str, float]
_cache: OrderedDict[_Key, bytes] = OrderedDict()
_cache_lock = Lock()
_render_lock = Lock()

_MARGIN = 1.0  # around a formula
_NUMBER = r"-?[\d.]+(?:e-?\d+)?"
_VIEW_BOX = re.compile(r'width="[^"]*" height="[^"]*" viewBox="([^"]*)"')
_QUANTITY = re.compile(r"\\quantity\{(\w+)\}")
_DIVIDERS = ("+", "-", "=", "<", ">")
_DIVIDING_COMMANDS = (r"\leq", r"\geq", r"\approx", r"\leftarrow", r"\gets", r"\sim", r"\propto", r"\pm")
_SPACES = (r"\quad", r"\qquad")  # between two statements
_WIDE = (*_SPACES, r"\,", r"\;", r"\ ")  # of white that is meant
_UNARY = re.compile(
    r"((?<=[({\[=<>,])|(?<=\\leq)|(?<=\\geq)|(?<=\\approx)|(?<=\\leftarrow)|(?<=\\gets)|(?<=\\sim)"
    r"|(?<=\\propto))(\s*)-"
)
_RELATION = re.compile(r"\\sim(?![A-Za-z])")  # set as an operator it has no room on its right
_NABLA = re.compile(r"\\nabla(?=_)")  # its index would stand off, as behind an operator
_LETTER = re.compile(r"\\mathbb ?([A-Z])")  # taken for an italic one without braces
_TOKENS = re.compile(r"\\[A-Za-z]+|\\.|.", re.DOTALL)
_SIGNS = ("+", "-", "−", r"\pm", "·")


def formula_svg(latex: str, color: str, size: float = 20.0) -> bytes:
    """The formula as SVG Tiny in `color` (#rrggbb), an em of `size`; its baseline is y = 0 of the view box.

    Takes about 30 ms the first time, nothing afterwards; may be called in any thread.

    Raises:
        ValueError: `latex` cannot be read.
    """
    key = (latex, color, float(size))
    known = cached_formula(*key)
    if known is not None:
        return known
    with _render_lock:
        known = cached_formula(*key)
        return known if known is not None else _remember(key, _render(*key))


def cached_formula(latex: str, color: str, size: float = 20.0) -> bytes | None:
    """What `formula_svg` would return, if it is known already."""
    key = (latex, color, float(size))
    with _cache_lock:
        if key in _cache:
            _cache.move_to_end(key)
        return _cache.get(key)


def prewarm(formulas: Iterable[str], colors: Iterable[str], size: float = 20.0) -> None:
    """Render `formulas` in each of `colors` ahead of need, in a worker thread; skips unreadable ones."""
    colors = tuple(colors)
    for latex in formulas:
        for color in colors:
            try:
                formula_svg(latex, color, size)
            except ValueError:
                break


def formula_image(latex: str, color: str, size: float = 16.0, ratio: float = 2.0) -> QImage:
    """The formula as a picture with `ratio` device pixels per pixel."""
    renderer = QSvgRenderer(QByteArray(formula_svg(latex, color)))
    box = renderer.viewBoxF()
    scale = size / 20.0 * ratio
    width, height = max(1, round(box.width() * scale)), max(1, round(box.height() * scale))
    image = QImage(width, height, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    renderer.render(painter, QRectF(0, 0, width, height))
    painter.end()
    image.setDevicePixelRatio(ratio)
    return image


def formula_html(latex: str, color: str, size: float = 16.0) -> str:
    """The formula for rich text: an embedded picture, or its LaTeX where it cannot be drawn."""
    try:
        image = formula_image(latex, color, size, math.ceil(_device_ratio()))
    except ValueError:
        return f"<i>{html.escape(latex)}</i>"
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    QImageWriter(buffer, b"png").write(image)
    data = base64.b64encode(buffer.data().data()).decode()
    width, height = (round(v / image.devicePixelRatio()) for v in (image.width(), image.height()))
    return f'<img width="{width}" height="{height}" src="data:image/png;base64,{data}">'


def _device_ratio() -> float:
    app = QGuiApplication.instance()
    return app.devicePixelRatio() if isinstance(app, QGuiApplication) else 1.0


def tint(latex: str, colors: Mapping[str, str]) -> str:
    r"""`latex` with each `\quantity{key}{…}` in its colour; unknown keys keep the colour around them."""

    def command(match: re.Match[str]) -> str:
        color = colors.get(match[1])
        return rf"\textcolor{{{color}}}" if color else ""

    return _QUANTITY.sub(command, latex)


def split_terms(latex: str) -> list[str]:
    """`latex` cut before each statement, relation and sum at its top level, for long formulas to wrap."""
    parts, start, depth = [""], True, 0
    for token in _TOKENS.findall(latex):
        divider = token in _DIVIDERS or token in _DIVIDING_COMMANDS or token in _SPACES
        if divider and depth == 0 and not start and parts[-1].strip():
            parts.append("")
        if not token.isspace():
            start = divider
        depth += _nesting(token)
        parts[-1] += token
    return [part.strip() for part in parts if part.strip()]


def begins_summand(source: str) -> bool:
    """Whether a term starts with a relation or a sign."""
    return source.lstrip().startswith((*_DIVIDERS, "−", "·", "≤", "≥", *_DIVIDING_COMMANDS))


def with_signs(latex: str) -> str:
    """Each minus that has no left side close to what it negates."""
    return _UNARY.sub(r"\2{-}", latex)


def as_meant(latex: str) -> str:
    r"""`latex` with ∼ as a relation, ∇ close to its index, and `\mathbb E` as the letter that it is."""
    latex = _NABLA.sub(r"{\\nabla}", _RELATION.sub(r"\\thicksim", latex))
    return _LETTER.sub(r"\\mathbb{\1}", latex)


def opened(latex: str) -> str:
    """The first term of an equation, of which a minus is a sign."""
    return "{-}" + latex[1:] if latex.startswith("-") and latex != "-" else latex


def ends_in_operator(source: str) -> bool:
    """Whether a term is a sign or relation, or ends in one."""
    return source.rstrip().endswith((*_DIVIDERS, *_DIVIDING_COMMANDS))


def begins_statement(source: str) -> bool:
    """Whether a term is the first of what is said next, after a wide space."""
    return source.startswith(_SPACES)


def begins_relation(source: str) -> bool:
    """Whether a term starts with a relation, whose left side stands before it."""
    return begins_summand(source) and not source.lstrip().startswith(_SIGNS)


@lru_cache(maxsize=2048)
def openings(latex: str) -> tuple[int, int]:
    """How many brackets more are opened than closed, and how many bars of a norm there are."""
    tokens = _TOKENS.findall(latex)
    return sum(map(_nesting, tokens)), tokens.count(r"\|")


def _nesting(token: str) -> int:
    opening = token in {"{", "(", "[", r"\left", r"\begin", r"\lVert", r"\lvert"}
    closing = token in {"}", ")", "]", r"\right", r"\end", r"\rVert", r"\rvert"}
    return int(opening) - int(closing)


def _render(latex: str, color: str, size: float) -> bytes:
    ziamath = _ziamath()
    leading = "{}" if begins_summand(latex) else ""  # spaced as between two operands
    trailing = "{}" if ends_in_operator(latex) else ""
    try:
        svg: str = ziamath.Latex(
            leading + as_meant(with_signs(latex)) + trailing, size=size, color=color, margin=_MARGIN
        ).svg()
    except Exception as error:  # the parser raises whatever it stumbles over
        raise ValueError(f"Not a formula: {latex!r}") from error
    return (svg if leading or latex.startswith(_WIDE) else _without_left_edge(svg)).encode()


def _without_left_edge(svg: str) -> str:
    """The picture from its first ink on: a hat makes it wider on the left than anything that is seen."""
    paths = (re.findall(_NUMBER, path)[::2] for path in re.findall(r' d="([^"]*)"', svg))
    starts = [float(x) for xs in paths for x in xs] + [
        float(x) for x in re.findall(r'<rect x="([^"]*)"', svg)
    ]
    (view_box,) = _VIEW_BOX.findall(svg)[:1]
    left, top, width, height = (float(v) for v in re.findall(_NUMBER, view_box))
    trimmed = min(starts, default=left + _MARGIN) - _MARGIN
    width += left - trimmed
    box = f'width="{width:.4g}" height="{height}" viewBox="{trimmed:.4g} {top} {width:.4g} {height}"'
    return _VIEW_BOX.sub(lambda _: box, svg, count=1)


def _ziamath() -> Any:
    """The renderer, imported at the first formula: it takes 0.2 s."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it opens its font in an old way
        import ziamath
        from ziamath.config import config
    config.svg2 = False  # Qt draws SVG Tiny 1.2
    return ziamath


def _remember(key: _Key, svg: bytes) -> bytes:
    with _cache_lock:
        _cache[key] = svg
        while len(_cache) > _CACHE_SIZE:
            _cache.popitem(last=False)
    return svg

"""The sheet of all keys, made from the table of actions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.core.words import plural, tr
from diffusion_studio.widgets.actions.keys import hint, key_text
from diffusion_studio.widgets.actions.table import FOCUS, Group
from diffusion_studio.widgets.look.theme import GRID, label

Row = tuple[tuple[str, ...], str, str]  # keys, title, what it does
Section = tuple[str, tuple[Row, ...]]
EVERYWHERE = tr("On every page")
_COLUMNS = 2
_HEAD = 2  # rows that a title takes


def sections(groups: Sequence[Group], titles: Mapping[str, str], page: str) -> tuple[Section, ...]:
    """Everything that has a key, by where it holds: everywhere, on `page`, elsewhere, and in single widgets.

    Args:
        titles: of the pages, by their keys.
    """
    found: dict[tuple[str, ...], list[Row]] = {}
    for group in groups:
        rows = [(action.keys, action.title, action.what) for action in group.actions if action.keys]
        found.setdefault(group.pages, []).extend(rows)
    ordered = sorted(found, key=lambda pages: (bool(pages), page not in pages))
    named = ((_where(pages, titles), tuple(found[pages])) for pages in ordered if found[pages])
    focus = ((f.where, tuple((keys, words, "") for keys, words in f.keys)) for f in FOCUS)
    return (*named, *focus)


def _where(pages: tuple[str, ...], titles: Mapping[str, str]) -> str:
    if not pages:
        return EVERYWHERE
    named = tr(" and ").join(titles[page] for page in pages)
    return plural("On {pages}", "On {pages}", len(pages), pages=named)


class KeySheet(QDialog):
    """Shows sections of keys; show it with `open()`."""

    def __init__(self, shown: Sequence[Section], parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Keys"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        inner = QWidget()
        columns = QHBoxLayout(inner)
        columns.setContentsMargins(24, 24, 24, 24)
        columns.setSpacing(5 * GRID)
        for part in _halves(shown):
            columns.addLayout(_column(part), 1)
        area = QScrollArea()
        area.setAccessibleName(tr("All keys"))
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        foot = QHBoxLayout()
        foot.setContentsMargins(24, 8, 24, 16)
        foot.addWidget(label(hint("find"), "muted"))
        foot.addWidget(buttons)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area, 1)
        outer.addLayout(foot)
        room = parent.size()
        width = inner.sizeHint().width() + area.verticalScrollBar().sizeHint().width()
        self.resize(min(max(width, 100 * GRID), room.width() - 6 * GRID), room.height() - 10 * GRID)


def _halves(shown: Sequence[Section]) -> Iterator[list[Section]]:
    """The sections in columns of about the same height, in reading order."""
    left = sum(len(rows) + _HEAD for _, rows in shown)
    rest = list(shown)
    for columns in range(_COLUMNS, 0, -1):
        part, height = [], 0
        while rest and (columns == 1 or height < left / columns):
            part.append(rest.pop(0))
            height += len(part[-1][1]) + _HEAD
        left -= height
        yield part


def _column(part: Sequence[Section]) -> QGridLayout:
    """The sections one above the other, their words on one line below each other."""
    grid, at = QGridLayout(), 0
    grid.setHorizontalSpacing(2 * GRID)
    grid.setVerticalSpacing(GRID // 2)
    grid.setColumnStretch(1, 1)
    for title, rows in part:
        if at:
            grid.setRowMinimumHeight(at, 2 * GRID)
            at += 1
        grid.addWidget(label(title, "strong"), at, 0, 1, 2)  # no capitals: σ is not Σ
        for keys, name, what in rows:
            at += 1
            words = label(name)
            words.setWordWrap(True)
            words.setToolTip(what)
            grid.addWidget(_keys(keys), at, 0, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
            grid.addWidget(words, at, 1)
        at += 1
    grid.setRowStretch(at, 1)
    return grid


def _keys(keys: Sequence[str]) -> QWidget:
    """The keys side by side, in a column that is hardly narrower than the other."""
    made = QWidget()
    row = QHBoxLayout(made)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(GRID // 2)
    for key in keys:
        row.addWidget(_cap(key_text(key)))
    row.addStretch(1)
    made.setMinimumWidth(QFontMetrics(made.font()).averageCharWidth() * 22)
    return made


def _cap(text: str) -> QLabel:
    cap = label(text)
    cap.setProperty("key", True)
    cap.setAlignment(Qt.AlignmentFlag.AlignCenter)
    return cap

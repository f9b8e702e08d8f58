"""How keys are written for a person."""

from __future__ import annotations

from PySide6.QtGui import QKeySequence

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.actions.table import action

_SIGNS = {
    "Left": "←", "Right": "→", "Up": "↑", "Down": "↓", "PgUp": tr("Page ↑"), "PgDown": tr("Page ↓"),
}  # fmt: skip


def key_text(key: str) -> str:
    """One key as this system writes it: "Ctrl+Z", "⌘Z", "←"."""
    return _SIGNS.get(key) or QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)


def hint(name: str, words: str = "") -> str:
    """A tooltip: what the action `name` does, or `words`, and the key for it."""
    found = action(name)
    key = f" ({key_text(found.keys[0])})" if found.keys else ""
    return f"{words or found.what}{key}"

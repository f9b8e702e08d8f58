"""Cards one below the other, as the tabs beside the pictures have them."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from diffusion_studio.widgets.frame.cards import Card, RemainderCard


def card_of(widget: QWidget) -> Card:
    card = RemainderCard()
    card.body.addWidget(widget)
    return card


def fill(column: QWidget, *widgets: QWidget) -> None:
    """Lays `widgets` into `column`; cards share the room that there is."""
    layout = QVBoxLayout(column)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(12)
    for widget in widgets:
        layout.addWidget(widget, 1 if isinstance(widget, Card) else 0)

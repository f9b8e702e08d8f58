"""What a page tells the person in its banner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Notice:
    """One sentence, with the traceback for who asks for it."""

    kind: Literal["info", "warning", "error"]
    text: str
    details: str = ""
    action: str = ""  # label of the button that the banner offers

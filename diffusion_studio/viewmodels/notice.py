"""What a page tells the person in its banner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # the window's frame tells of things too, before anything heavy is imported
    from diffusion_studio.engine.jobs.events import Finished


@dataclass(frozen=True)
class Notice:
    """One sentence, with the traceback for who asks for it."""

    kind: Literal["info", "warning", "error"]
    text: str
    details: str = ""
    action: str = ""  # label of the button that the banner offers
    file: str = ""  # that was written: the way to its folder is offered


def notice_of(event: Finished) -> Notice:
    """What the end of a job says."""
    kind: Literal["info", "error"] = "error" if event.outcome == "failed" else "info"
    return Notice(kind, event.message, event.traceback, file=event.file)

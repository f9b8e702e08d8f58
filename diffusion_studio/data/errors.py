"""What can go wrong while images are read, each with one sentence for a person."""

from __future__ import annotations

from diffusion_studio.core.refused import Refused


class DataError(Refused):
    """A data source that cannot be used at all."""


class BadImage(Refused):
    """One file that cannot be used as a picture; `reason` is a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotAnImage(BadImage):
    """A file whose content is in none of the formats that are read."""


class Cancelled(Exception):  # noqa: N818 - cancelling is not an error
    """The caller asked to stop."""

"""What can go wrong while images are read, each with one sentence for a person."""

from __future__ import annotations

from diffusion_studio.core.refused import Refused


class DataError(Refused):
    """A data source that cannot be used at all."""


class FolderGoneError(DataError):
    """A folder that went away while it was read: on a network, on a drive that was pulled out."""


class BadImage(Refused):
    """One file that cannot be used as a picture; `reason` is a sentence.

    Args:
        passing: whether the system did not give the file, which it may do another time.
    """

    def __init__(self, reason: str, passing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passing = passing


class NotAnImage(BadImage):
    """A file whose content is in none of the formats that are read."""


class Cancelled(Exception):  # noqa: N818 - cancelling is not an error
    """The caller asked to stop."""

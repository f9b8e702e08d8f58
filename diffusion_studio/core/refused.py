"""The one exception that is meant for a person."""

from __future__ import annotations


class Refused(ValueError):  # noqa: N818 - not an error of the program
    """Something that cannot be, or cannot be used: the message says why, as a sentence for a person.

    Whatever else is raised is a fault of the program, and its words are not shown to anybody. It is a
    ValueError, so that pydantic takes it from a validator.

    Args:
        where: the path of the parameter, or of what holds it, with which the message begins; "" for none.
    """

    def __init__(self, message: str = "", *, where: str = "") -> None:
        super().__init__(message)
        self.where = where

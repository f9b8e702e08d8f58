"""What a person is told when a piece of work ends with an exception."""

from __future__ import annotations

import errno
import logging

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.files import places
from diffusion_studio.engine.machine.memory import TOO_MUCH, is_out_of_memory

log = logging.getLogger(__name__)


def words_for(error: BaseException, too_much: str = TOO_MUCH) -> str:
    """A sentence for a person.

    A refusal has its own; so do a file that the system does not give and too little memory, `too_much`.
    Anything else is a fault of the program: it goes to the log with its traceback, and its words, which are
    not meant for a person, are not told.
    """
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        sentence = tr(
            "{file} cannot be used: {reason}.", file=error.filename or tr("A file"), reason=error.strerror
        )
        do = tr("Free some disk space.") if is_full(error) else ""
        return f"{sentence} {do}".rstrip()
    if is_out_of_memory(error):
        return too_much
    log.error("A fault of the program", exc_info=error)
    return tr(
        "Something went wrong in the program; what happened is in the log, in {folder}.",
        folder=places.log_dir(),
    )


def is_full(error: OSError) -> bool:
    """Whether there was no room on the disk, or no more of it for this person."""
    return error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))

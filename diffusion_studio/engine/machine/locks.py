"""Whether a process holds a lock on a file that may only be read."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl


def is_held(file: Path) -> bool | None:
    """Whether a process of this machine holds the lock; None where that cannot be asked."""
    if sys.platform == "win32":
        return None
    try:
        asked = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(asked, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return None
    finally:
        os.close(asked)
    return False

"""How long a test waits for what must come: so long that only a hang exceeds it, however busy the machine."""

from __future__ import annotations

import time

PATIENCE = 300  # seconds


def look_again_soon() -> None:
    """Between two looks at what another thread or process does."""
    time.sleep(0.001)

"""A machine with several processors: tests compute with one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from diffusion_studio.models import side_by_side
from diffusion_studio.models.company import Company


@contextmanager
def processors(count: int, *, company: bool = False) -> Iterator[None]:
    """Batches are split as there, each part on a thread of its own; other programs are beside or not."""
    side_by_side._threads.cache_clear()
    here = patch.object(Company, "is_here", lambda _: company)
    with patch.object(side_by_side, "PROCESSORS", count), here:
        yield
        if count > 1:
            side_by_side._threads().shutdown()
    side_by_side._threads.cache_clear()

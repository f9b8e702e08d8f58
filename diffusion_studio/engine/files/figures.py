"""Figures in JSON, which knows no NaN and no ∞: null stands for them."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BeforeValidator


def _known(value: Any) -> Any:
    return math.nan if value is None else value


Figure = Annotated[float, BeforeValidator(_known)]  # that may be no number, read back from a null too


def finite(value: Any) -> Any:
    """The same with null in place of every float that is no number."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return {name: finite(each) for name, each in value.items()} if isinstance(value, dict) else value

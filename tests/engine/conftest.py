"""For every test of the engine: a small folder of pictures."""

from support.fixtures import pictures

__all__ = ["pictures"]

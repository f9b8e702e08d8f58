"""For every test of the engine: one thread, and a small folder of pictures."""

from support.fixtures import one_thread, pictures

__all__ = ["one_thread", "pictures"]

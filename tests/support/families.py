"""The members of a family, for tests that walk over all of them."""

from __future__ import annotations

from typing import TypeVar

from diffusion_studio.core.describe import Member, members

F = TypeVar("F", bound=Member)


def ready(base: type[F]) -> dict[str, F]:
    """Every member that can be used as it comes, by its kind; those that a person gives are left out."""
    return {kind: cls() for kind, cls in members(base).items() if not cls.is_given}

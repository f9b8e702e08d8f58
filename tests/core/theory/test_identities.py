"""What the Theory page calls the same is the same."""

from __future__ import annotations

import pytest

from diffusion_studio.core.theory.identities import IDENTITIES


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda identity: identity.key)
def test_that_both_names_have_the_same_numbers(identity):
    numbers = identity.numbers()
    assert numbers
    for line in numbers:
        assert line.one == pytest.approx(line.other, abs=1e-10, rel=1e-10)


def test_that_identities_have_names_of_their_own():
    assert len({identity.key for identity in IDENTITIES}) == len(IDENTITIES)

"""How many threads tensor work may use, for each thread of the program by itself.

Work of a millisecond gains nothing from a helper thread, and loses a lot where that helper has to wait for a
processor: on two cores beside a busy program a step of 100,000 particles takes 7 ms alone, 200 ms with help.
A helper of one more thread also makes the helpers of all the others fall asleep at once (docs/adr/0003).
"""

from __future__ import annotations

from diffusion_studio.models.company import company
from diffusion_studio.models.side_by_side import PROCESSORS, use_helpers


def work_alone() -> None:
    """The calling thread computes without helpers from now on."""
    use_helpers(1)


def work_with_all() -> None:
    """The calling thread may use every helper from now on.

    A thread that never said which it wants begins like the one that said so last.
    """
    use_helpers(PROCESSORS)


def work_as_is_fastest() -> None:
    """The calling thread may use every helper from now on, unless other programs would make them wait."""
    use_helpers(1 if company().is_here() else PROCESSORS)

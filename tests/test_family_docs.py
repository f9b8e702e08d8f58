"""What the documents say of the families is what the classes say."""

from __future__ import annotations

import re
from pathlib import Path

from support.family_docs import families_page, with_counts

ROOT = Path(__file__).parents[1]
ADVICE = "write the documents again: python -m tests.support.family_docs"


def test_that_the_page_of_the_families_is_up_to_date():
    assert (ROOT / "docs" / "FAMILIES.md").read_text(encoding="utf-8") == families_page(), ADVICE


def test_that_the_readme_counts_right():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == with_counts(readme), ADVICE


def test_that_numbers_become_those_of_today():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    wrong = re.sub(r"\w+ samplers, \w+ rules", "ninety samplers, no rules", readme)
    wrong = re.sub(r"\w+ cards of a guided", "One cards of a guided", wrong)
    assert wrong != readme
    assert with_counts(wrong) == readme

"""What a person is told: refusals in their own words, faults never in Python's."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import field_validator

from diffusion_studio.core.describe import Choice, knob, validated, with_value
from diffusion_studio.core.refused import Refused
from diffusion_studio.data.errors import BadImage, DataError
from diffusion_studio.engine.classifier.files import ClassifierError
from diffusion_studio.engine.runs.checkpoints import CheckpointError
from diffusion_studio.engine.runs.run import RunError
from support.refusals import violations

BAD = {
    "core/curves.py": ("def f():\n    raise ValueError('no')", "a refusal is a Refused"),
    "viewmodels/a.py": (
        "try:\n    f()\nexcept ValueError as error:\n    say(str(error))",
        "the words of ValueError are shown",
    ),
    "viewmodels/b.py": (
        "try:\n    f()\nexcept (OSError, TypeError) as error:\n    say(f'Sorry: {error}')",
        "the words of OSError or TypeError are shown",
    ),
    "cli/a.py": ("try:\n    f()\nexcept Exception as e:\n    print(e.args[0])", "the words of Exception are"),
    "engine/runs/a.py": ("def f(x):\n    return Spec.model_validate(x)", "checked by `validated`"),
    "engine/runs/b.py": ("try:\n    f()\nexcept ValidationError:\n    pass", "checked by `validated`"),
}
GOOD = {
    "core/describe.py": "def f(x):\n    return Spec.model_validate(x)",
    "widgets/a.py": "def f():\n    raise ValueError('the caller is wrong')",
    "viewmodels/a.py": "try:\n    f()\nexcept Refused as error:\n    say(str(error))\n"
    "except ValueError:\n    say('That is no number.')",
    "viewmodels/b.py": "try:\n    f()\nexcept Exception as error:\n    log.error('%s', str(error))\n"
    "    say(words_for(error))",
    "engine/a.py": "try:\n    f()\nexcept OSError as error:\n    say(f'{error.strerror or error}')",
}


@pytest.mark.parametrize("name", BAD)
def test_that_such_words_are_found(name, tmp_path):
    source, complaint = BAD[name]
    found = violations(_package(tmp_path, {name: source}))
    assert len(found) == 1
    assert found[0].startswith(name)
    assert complaint in found[0]


def test_that_what_is_meant_for_a_person_passes(tmp_path):
    assert violations(_package(tmp_path, GOOD)) == []


@pytest.mark.parametrize("kind", [BadImage, CheckpointError, ClassifierError, DataError, RunError])
def test_that_every_error_with_a_sentence_is_a_refusal(kind):
    assert issubclass(kind, Refused)


class _Picky(Choice):
    number: int = knob(1, title="number", help="Any but 3 and 4.")

    @field_validator("number")
    @classmethod
    def _not_three(cls, number: int) -> int:
        if number == 3:
            raise Refused("it cannot be 3")
        if number == 4:
            raise ValueError("operands could not be broadcast together")
        return number


def test_that_a_validator_that_refuses_gives_its_sentence():
    with pytest.raises(Refused, match=r"^number: it cannot be 3 \(given: 3\)\.$"):
        with_value(_Picky(), "number", 3)


def test_that_a_validator_that_fails_is_a_fault():
    with pytest.raises(ValueError, match="broadcast") as caught:
        validated(_Picky, {"number": 4})
    assert not isinstance(caught.value, Refused)


def _package(folder: Path, files: dict[str, str]) -> Path:
    for name, source in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source, encoding="utf-8")
    return folder

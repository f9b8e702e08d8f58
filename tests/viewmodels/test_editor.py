"""What stands under a parameter that was refused."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from diffusion_studio.core.describe import Choice, families, knobs, members, with_value
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.engine.runs.autoencoder_config import HVAEConfig, VAEConfig
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.viewmodels.editor import Editor

NONSENSE = ("x", -1, 10**9, "3, 2, 1", "0.1, 0.9", "5:1, 3:2", True)
KEY = re.compile(r"[a-z_0-9]+(\.[a-z_0-9]+)*: ")


def variants(choice: Choice) -> Iterator[Choice]:
    """A choice, and with every member of each of its families."""
    yield choice
    for path, base in families(choice).items():
        for kind in members(base):
            try:
                yield with_value(choice, f"{path}.kind", kind)
            except Refused:
                continue


@pytest.mark.parametrize("kind", [RunConfig, SampleSpec, PlaneSpec, VAEConfig, HVAEConfig])
def test_that_no_refusal_in_the_window_names_a_parameter_by_its_key(kind):
    said = {}
    for choice in variants(kind()):
        for knob in knobs(choice):
            for value in NONSENSE:
                editor = Editor(choice)
                editor.edit(knob.path, value)
                said |= {(path, value): sentence for path, sentence in editor.state.errors}
    assert said
    raw = [f"{at}: {sentence}" for at, sentence in said.items() if KEY.match(sentence)]
    assert not raw, "\n".join(raw)


def test_that_what_holds_a_parameter_is_not_named_either():
    editor = Editor(RunConfig())
    editor.edit("diffusion.schedule.kind", "levels")
    editor.edit("diffusion.schedule.values", "3, 2, 1")
    assert editor.state.errors == (
        ("diffusion.schedule.values", "The schedule lists 3 levels, but T is 1000."),
    )
    editor.edit("data.background", "no colour")
    ((_, sentence),) = editor.state.errors
    assert sentence.startswith("The background should be a colour")

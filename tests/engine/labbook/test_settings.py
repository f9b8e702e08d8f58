"""Settings of runs beside each other, in words, and where they differ."""

from __future__ import annotations

from diffusion_studio.core.describe import Knob, with_values
from diffusion_studio.core.words import Language, speak, spoken
from diffusion_studio.engine.labbook.settings import in_words, settings_of
from diffusion_studio.engine.runs.autoencoder_config import VAEConfig
from diffusion_studio.engine.runs.config import RunConfig


def changed(*changes: tuple[str, object]) -> RunConfig:
    return with_values(RunConfig(), changes)


def differing(*configs) -> dict[str, tuple[str, ...]]:
    return {one.path: one.values for one in settings_of(configs) if one.differs}


def test_that_of_one_run_what_is_not_as_by_default_differs():
    assert differing(RunConfig()) == {}
    assert differing(changed(("diffusion.steps", 50), ("model.conditional", False))) == {
        "diffusion.steps": ("50",), "model.conditional": ("no",),
    }  # fmt: skip


def test_that_of_several_runs_only_what_differs_between_them_does():
    one, other = changed(("seed", 3)), changed(("seed", 3), ("objective.weight.kind", "min_snr"))
    found = differing(one, other)
    assert "seed" not in found
    assert found["objective.weight.kind"][1] == "min-SNR"
    cap = next(
        values for path, values in found.items() if path.startswith("objective.weight.") and values[0] == ""
    )
    assert cap[1]  # a parameter that only one of them has


def test_that_every_parameter_stands_once_with_its_part_where_titles_are_alike():
    settings = settings_of([RunConfig(), VAEConfig()])
    paths = [one.path for one in settings]
    assert len(paths) == len(set(paths))
    parts = [path.partition(".")[0] for path in paths]
    assert len(set(parts)) == sum(a != b for a, b in zip(parts, [None, *parts], strict=False))
    titles = [one.title for one in settings if "." in one.path]
    assert "diffusion: steps" in titles and "training: steps" in titles


def test_that_no_run_has_no_settings():
    assert settings_of([]) == ()


def test_that_numbers_in_a_row_are_told_apart_where_a_comma_is_their_mark():
    row = Knob("p", "numbers", "heights", "help", ())
    before = spoken()
    speak(Language(marks=(",", ".")))
    try:
        assert in_words(row, (1, 0.5)) == "1;0,5"
    finally:
        speak(before)
    assert in_words(row, (1, 0.5)) == "1,0.5"

"""The description of a data set and the set itself as values."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from diffusion_studio.core.describe import knobs, with_value
from diffusion_studio.data.imageset import ImageSet, Skipped, to_model_range, to_uint8
from diffusion_studio.data.spec import DataSpec

NO_SUCH_NAME = pytest.mark.skipif(os.name == "nt", reason="Windows has names that no encoding has")


@pytest.mark.parametrize(
    "bad",
    [
        {"resolution": 3},
        {"resolution": 516},
        {"resolution": -4},
        {"channels": 2},
        {"fit": "zoom"},
        {"background": "nonsense"},
        {"background": "#ffffff80"},
        {"source": "  "},
        {"source": "a\0b"},
        pytest.param({"source": "é\ud800"}, marks=NO_SUCH_NAME),
        {"unknown": 1},
    ],
)
def test_that_a_wrong_value_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DataSpec.model_validate(bad)


def test_that_the_resolution_is_chosen_by_the_source() -> None:
    assert DataSpec().side == 8
    assert DataSpec(source="photos").side == 32
    assert DataSpec(source="photos", resolution=64).side == 64


def test_that_one_colour_has_one_spelling() -> None:
    assert DataSpec(background="White") == DataSpec(background="#FFF") == DataSpec()
    assert DataSpec(background="#0a0b0c").background_rgb == (10, 11, 12)


def test_that_text_from_the_command_line_is_understood() -> None:
    assert with_value(DataSpec(), "channels", "3").channels == 3
    assert with_value(DataSpec(), "resolution", "28").resolution == 28
    with pytest.raises(ValueError, match="from 4 to 512, or 0 to choose"):
        with_value(DataSpec(), "resolution", "3")


def test_that_every_parameter_is_described_and_survives_json() -> None:
    assert all(knob.title and len(knob.help) > 20 for knob in knobs(DataSpec()))
    spec = DataSpec(source="photos", resolution=64, channels=1, fit="pad", background="black", flip=True)
    assert DataSpec.model_validate(json.loads(spec.model_dump_json())) == spec


def small_set(**changes: object) -> ImageSet:
    values: dict[str, object] = {
        "images": np.arange(3 * 3 * 4 * 4, dtype=np.uint8).reshape(3, 3, 4, 4),
        "labels": np.array([0, 1, -1]),
        "class_names": ("cat", "dog"),
        "files": ("a.png", "b\udcff.png", "c.png"),
        "skipped": (Skipped("d\udcff.png", "The file is empty."),),
        "name": "pets",
        "source": "/pets",
    }
    return ImageSet(**(values | changes))  # type: ignore[arg-type]


def test_that_a_set_knows_its_shape_and_classes() -> None:
    pets = small_set()
    assert (pets.count, pets.channels, pets.resolution, pets.classes, pets.unlabelled) == (3, 3, 4, 2, 1)
    assert pets.conditional_possible
    assert not small_set(class_names=("cat",), labels=np.zeros(3, np.int64)).conditional_possible
    assert [pets.label_name(i) for i in range(3)] == ["cat", "dog", None]


def test_that_the_manifest_is_plain_text_for_any_file_name() -> None:
    manifest = small_set().manifest()
    json.dumps(manifest, ensure_ascii=False).encode("utf-8")
    assert manifest["images"][1] == {"file": "b\\udcff.png", "label": "dog"}
    assert manifest["images"][2]["label"] is None
    assert manifest["skipped"] == [{"file": "d\\udcff.png", "reason": "The file is empty."}]
    assert manifest["class_names"] == ["cat", "dog"]
    assert (manifest["source"], manifest["count"]) == ("/pets", 3)
    assert (manifest["resolution"], manifest["channels"]) == (4, 3)


def test_that_the_fingerprint_follows_the_content_only() -> None:
    same = small_set(files=("x", "y", "z"), source="/elsewhere", skipped=())
    assert same.fingerprint == small_set().fingerprint
    others = [
        small_set(labels=np.array([0, 1, 1])),
        small_set(images=small_set().images ^ 1),
        small_set(images=small_set().images.reshape(3, 3, 2, 8)),
        small_set(class_names=("cat", "cow")),
    ]
    assert len({s.fingerprint for s in [same, *others]}) == 5


def test_that_the_model_range_ends_at_one_and_comes_back() -> None:
    every = np.arange(256, dtype=np.uint8)
    scaled = to_model_range(every)
    assert scaled.dtype == np.float32
    assert (scaled[0], scaled[255]) == (-1.0, 1.0)
    assert np.array_equal(to_uint8(scaled), every)


@given(st.floats(-1e6, 1e6))
def test_that_values_outside_the_range_are_clipped(value: float) -> None:
    found = int(to_uint8(np.array([value]))[0])
    assert abs(found - (min(max(value, -1), 1) + 1) * 127.5) <= 0.5

"""Images and settings that come in to the Sample page, pictures and numbers that go out."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffusion_studio.core.samplers import DDPM
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.command import command_of
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.files.pictures import read_settings, save_grid
from diffusion_studio.viewmodels.sample import files as sample_files
from diffusion_studio.viewmodels.sample.sources import memorising_choice
from diffusion_studio.viewmodels.sample.state import SampleParameters
from support.sample_page import DIGITS, SPEC, states
from support.tiny import write_pictures


@pytest.fixture
def exported(qtbot, model, tmp_path):
    """Exports and waits until it is told."""

    def exported(name: str, kind: str = "state") -> Path:
        model.notices.dismiss()
        model.files.export(tmp_path / name, kind)
        qtbot.waitUntil(lambda: model.state.notice is not None)
        return tmp_path / name

    return exported


# --- out --------------------------------------------------------------------------------------------------


def test_that_png_is_the_shown_state_and_says_how_it_was_made(model, exported):
    model.player.seek(4)
    model.pictures.set_view("x_t")
    settings = read_settings(exported("a.png"))
    assert model.state.notice.kind == "info"
    assert "a.png" in model.state.notice.text
    assert (settings["view"], settings["position"], settings["source"]) == ("x_t", 4, DIGITS)
    assert SampleSpec.model_validate(settings["sample"]) == SPEC


def test_that_gif_is_the_whole_chain(exported):
    with Image.open(exported("a.gif")) as image:
        assert 2 <= image.n_frames <= 11


def test_that_npz_equals_the_chain_computed_again(model, exported):
    again = list(model.chains.record.chain.steps())
    with np.load(exported("a.npz")) as found:
        for k, step in enumerate(again):
            np.testing.assert_allclose(found["x_t"][k], step.x_t, rtol=2**-10, atol=2e-3)
            np.testing.assert_allclose(found["x0_hat"][k], step.prediction.x0_hat, rtol=2**-10, atol=2e-3)


@pytest.mark.parametrize("name", ["a.txt", "file/a.png"])
def test_that_a_file_that_cannot_be_written_is_a_sentence(model, exported, tmp_path, name):
    (tmp_path / "file").touch()
    exported(name)
    assert model.state.notice.kind == "error"
    assert "Something went wrong" not in model.state.notice.text
    assert "Errno" not in model.state.notice.text


def test_that_the_command_line_is_that_of_the_shown_track(branched):
    spec = branched.tree.parameters.spec
    assert spec.seed == 3
    assert branched.files.command() == command_of(DIGITS, spec)


def test_that_before_there_is_a_chain_nothing_is_exported(made, tmp_path):
    model = made()
    model.files.export(tmp_path / "a.png")
    assert "no chain yet" in model.state.notice.text
    assert not (tmp_path / "a.png").exists()


def test_that_an_export_outlasts_a_changed_parameter(qtbot, model, settled, tmp_path, monkeypatch):
    going, go = threading.Event(), threading.Event()
    original = sample_files.save_trajectory

    def slow(*arguments):
        going.set()
        go.wait()
        original(*arguments)

    monkeypatch.setattr(sample_files, "save_trajectory", slow)
    model.files.export(tmp_path / "a.npz")
    going.wait()
    model.tree.edit("count", 2)
    settled(model)
    model.files.export(tmp_path / "b.npz")
    assert "not finished" in model.state.notice.text
    model.notices.dismiss()
    go.set()
    qtbot.waitUntil(lambda: model.state.notice is not None)
    assert "a.npz" in model.state.notice.text
    with np.load(tmp_path / "a.npz") as found:
        assert found["samples"].shape == (4, 1, 8, 8)


# --- in: a picture of ours --------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), [("a.png", "state"), ("a.png", "strip")])
def test_that_a_picture_of_ours_restores_what_made_it(model, settled, exported, runs, name, kind):
    model.player.seek(4)
    model.branch()
    model.tree.edit("sampler.kind", "ddpm")
    model.tree.settle()
    model.tree.compare(0)
    settled(model)
    model.pictures.set_view("noise")
    model.player.seek(5)
    before, pictures = model.tree.parameters, states(model.chains.record)
    file = exported(name, kind)
    model.notices.dismiss()
    model.choices.choose(str(runs / "mine"))
    model.tree.edit("steps", 3)
    model.tree.delete(1)
    model.pictures.set_view("x_t")
    settled(model)
    model.player.seek(1)
    model.files.open_images([file])
    settled(model)
    assert model.tree.parameters == before
    assert (model.state.pictures.view, model.state.player.position) == ("noise", 5)
    np.testing.assert_array_equal(states(model.chains.record), pictures)
    assert model.state.notice is None
    model.tree.undo()
    assert model.tree.parameters.source == str(runs / "mine")


def save_with(path: Path, settings: dict[str, Any]) -> Path:
    save_grid(path, np.zeros((1, 8, 8, 1), np.uint8), settings)
    return path


def test_that_a_picture_of_the_command_line_keeps_the_denoiser(model, settled, tmp_path):
    """It says nothing of where its model lay."""
    other = SPEC.model_copy(update={"seed": 8, "sampler": DDPM()})
    sample = {"model": "x", "step": 3, "sample": other.model_dump(mode="json")}
    model.files.open_images([save_with(tmp_path / "line.png", sample)])
    settled(model)
    assert model.tree.parameters == SampleParameters(DIGITS, ChainTree(spec=other))
    assert model.chains.record.chain.spec == other
    assert model.state.notice is None


def test_that_a_picture_of_a_model_that_is_not_here_says_so(model, settled, tmp_path):
    other = SPEC.model_copy(update={"seed": 8})
    settings = {"model": "Far", "source": str(tmp_path / "far"), "sample": other.model_dump(mode="json")}
    model.files.open_images([save_with(tmp_path / "a.png", settings)])
    settled(model)
    assert model.tree.parameters == SampleParameters(DIGITS, ChainTree(spec=other))
    assert model.state.notice.kind == "info"
    assert "Far is not here" in model.state.notice.text


def test_that_a_picture_of_a_folder_that_is_not_on_the_list_opens_it(model, settled, tmp_path):
    key = memorising_choice(str(write_pictures(tmp_path / "zoo"))).key
    settings = {"model": "zoo", "source": key, "sample": SPEC.model_dump(mode="json")}
    model.files.open_images([save_with(tmp_path / "a.png", settings)])
    settled(model)
    assert model.tree.parameters.source == key
    assert model.state.chains.facts.class_names == ("ape", "bee", "cat")
    assert model.state.notice is None


@pytest.mark.parametrize(
    "settings",
    [
        {"sample": {"bogus": 1}}, {"sample": {}, "tree": {"active": 4}}, {"sample": {"seed": -1}},
        {"sample": {}, "tree": [1]},
    ],
)  # fmt: skip
def test_that_settings_of_another_version_are_a_sentence(model, settled, tmp_path, settings):
    before = model.tree.parameters
    model.files.open_images([save_with(tmp_path / "a.png", settings)])
    settled(model)
    assert model.state.notice.kind == "error"
    assert "another version" in model.state.notice.text
    assert model.tree.parameters == before


def test_that_strange_places_in_a_picture_do_no_harm(model, settled, tmp_path):
    for number, time in enumerate([float("nan"), -3.0, 1e300, "x", True]):
        settings = {"source": DIGITS, "sample": SPEC.model_dump(mode="json"), "time": time, "view": ["x"]}
        model.files.open_images([save_with(tmp_path / f"{number}.png", json.loads(json.dumps(settings)))])
        settled(model)
        assert 0 <= model.state.player.position <= 10
        assert 0 <= model.player.state.place <= 1
        assert model.state.pictures.view == "x0_hat"

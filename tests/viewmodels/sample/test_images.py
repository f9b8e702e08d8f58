"""Images at which chains begin, behind the Sample page: those that can be read, and those that cannot."""

from __future__ import annotations

import shutil

import pytest

from diffusion_studio.engine.chains.chain_tree import ChainTree, load_tree
from diffusion_studio.engine.chains.starts import InvertedStart
from diffusion_studio.viewmodels.sample.state import SampleParameters
from support.sample_page import DIGITS, SPEC, told


def test_that_chains_begin_at_a_dropped_image(model, settled, picture):
    model.files.open_images([picture])
    settled(model)
    spec = model.tree.parameters.spec
    assert (spec.start.kind, spec.start.files, spec.count) == ("inverted", (str(picture),), 1)
    assert model.state.notice is None
    assert model.chains.record.is_complete
    model.tree.undo()
    settled(model)
    assert model.tree.parameters.spec == SPEC


def test_that_an_image_dropped_while_a_branch_is_shown_goes_to_the_main_chain(branched, settled, picture):
    branched.files.open_images([picture])
    settled(branched)
    tree = branched.tree.value
    assert (tree.active, tree.spec.start.kind, len(tree.branches)) == (0, "inverted", 1)
    assert branched.state.notice is None


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_that_an_image_that_cannot_be_read_leaves_the_page_as_it_was(model, settled, tmp_path, content):
    file = tmp_path / "broken.jpg"
    if content is not None:
        file.write_bytes(content)
    model.player.seek(6)
    before, record = model.tree.parameters, model.chains.record
    frames = told(model, "frame")
    model.files.open_images([file])
    settled(model)
    assert model.state.notice.kind == "error"
    assert model.state.notice.text.startswith("broken.jpg cannot be used: ")
    assert model.tree.parameters == model.state.parameters == before
    assert (model.chains.record, model.state.player.position, frames) == (record, 6, [])
    assert (model.state.tree.can_undo, model.state.tree.can_redo) == (False, False)
    model.tree.edit("seed", 1)
    settled(model)
    assert model.state.notice is None


def test_that_a_broken_image_beside_a_sound_one_is_not_taken(model, settled, picture, tmp_path):
    model.files.open_images([picture])
    settled(model)
    before, record = model.tree.parameters, model.chains.record
    (tmp_path / "broken.png").write_bytes(b"no")
    model.tree.edit("start.images", (str(picture), str(tmp_path / "broken.png")))
    model.tree.settle()
    settled(model)
    assert "broken.png" in model.state.notice.text
    assert model.tree.parameters == before
    assert model.chains.record is record


def test_that_a_start_waits_for_its_images(model, settled, picture, tmp_path):
    record = model.chains.record
    model.tree.edit("start.kind", "interpolated")
    model.tree.settle()
    settled(model)
    assert "Choose an image first" in model.state.notice.text
    assert model.chains.record is record
    model.tree.edit("start.images", (str(picture),))
    model.tree.settle()
    settled(model)
    assert "Choose two images" in model.state.notice.text
    assert model.chains.record is record
    (tmp_path / "broken.png").write_bytes(b"no")
    model.tree.edit("start.images", (str(picture), str(tmp_path / "broken.png")))
    model.tree.settle()
    settled(model)
    assert model.tree.parameters.spec.start.files == (str(picture),)
    shutil.copy(picture, tmp_path / "second.png")
    model.tree.edit("start.images", (str(picture), str(tmp_path / "second.png")))
    model.tree.settle()
    settled(model)
    assert model.state.notice is None
    assert model.chains.record.chain.spec.start.kind == "interpolated"


@pytest.mark.parametrize("files", [(), ("gone.png",)])
def test_that_remembered_chains_whose_image_is_gone_begin_at_noise(made, settled, files):
    start = InvertedStart(images=files)
    tree = ChainTree(spec=SPEC.model_copy(update={"start": start})).branched(500)
    model = made(SampleParameters(DIGITS, tree))
    model.compute()
    settled(model)
    assert model.chains.record.is_complete
    assert model.tree.parameters == SampleParameters(DIGITS, ChainTree(spec=SPEC).branched(500))
    assert (files[0] if files else "Choose an image first") in model.state.notice.text
    assert not model.state.tree.can_undo


def test_that_a_run_whose_saved_image_is_gone_opens_with_the_rest_of_its_chains(
    model, made, settled, runs, picture
):
    key = str(runs / "mine")
    model.choices.choose(key)
    model.files.open_images([picture])
    settled(model)
    model.player.seek(4)
    model.branch()
    settled(model)
    model.saved.flush()
    saved = load_tree(runs / "mine")
    assert saved.spec.start.files == (str(picture),)
    picture.unlink()
    other = made(SampleParameters(DIGITS, ChainTree(spec=SPEC)))
    other.compute()
    settled(other)
    other.choices.choose(key)
    settled(other)
    assert other.state.chains.facts.model == "mine"
    assert other.chains.record.is_complete
    assert other.tree.parameters == SampleParameters(key, saved.from_noise())
    assert "real.png" in other.state.notice.text

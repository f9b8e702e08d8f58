"""A chain in a code on the Sample page: pictures are decoded in jobs, and whatever is looked at comes."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.source import Source
from diffusion_studio.viewmodels.sample.state import SampleParameters
from support.coded import coded_run
from support.sample_page import SPEC


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    return coded_run(tmp_path_factory.mktemp("coded"))[0]


@pytest.fixture
def model(coded, made, settled):
    model = made(SampleParameters(str(coded), ChainTree(spec=SPEC)))
    model.compute()
    return settled(model)


@pytest.fixture
def exact(qtbot):
    """Waits until what is seen is what the state at hand decodes to."""

    def exact(model, view="x0_hat"):
        record, position = model.chains.record, model.player.state.position
        qtbot.waitUntil(lambda: record.knows(view, position) and not model.look().pictures.frame.rough)
        return model.state.pictures.frame

    return exact


def test_that_what_is_looked_at_is_decoded_beside_the_window(model, exact, monkeypatch):
    here, decoded_by = threading.get_ident(), set()
    decode = Source.pictures
    monkeypatch.setattr(
        Source, "pictures", lambda self, x: (decoded_by.add(threading.get_ident()), decode(self, x))[1]
    )
    for position in (10, 3, 7, 0):
        model.player.seek(position)
        frame = exact(model)
        assert frame.images.shape == (4, 16, 16, 1)
        np.testing.assert_array_equal(frame.images, model.chains.record.picture("x0_hat", position))
    model.pictures.set_view("x_t")
    assert exact(model, "x_t").images.shape == (4, 4, 4, 3)
    assert decoded_by and here not in decoded_by


def test_that_what_cannot_be_decoded_is_told_and_not_tried_again(model, exact, qtbot, monkeypatch):
    exact(model)
    slot, tried = model.pictures._decoding._slot, []
    qtbot.waitUntil(lambda: not slot.busy)

    def broken(self, x):
        tried.append(x)
        raise Refused("The code is broken.")

    monkeypatch.setattr(Source, "pictures", broken)
    model.player.seek(3)
    qtbot.waitUntil(lambda: bool(tried) and not slot.busy)
    assert model.state.notice.text == "The code is broken."
    assert len(tried) == 1


def test_that_the_strip_is_decoded(model, qtbot):
    model.pictures.set_layout("strip")
    record = model.chains.record
    qtbot.waitUntil(lambda: not model.look().chains.busy and record.decoded.wished is None)
    strip = model.state.pictures.strip
    expected = [record.picture("x0_hat", k) for k in strip.columns]
    np.testing.assert_array_equal(
        model.look().pictures.strip.images.reshape(4, len(expected), 16, 16, 1), np.stack(expected, 1)
    )


def test_that_two_chains_and_guidance_are_compared_as_pictures(model, settled, exact, qtbot):
    model.tree.edit("guidance", 3.0)
    model.tree.settle()
    settled(model)
    model.pictures.set_layout("guided")
    model.player.seek(4)
    record = model.chains.record
    qtbot.waitUntil(lambda: bool(model.look()) and record.knows("unguided", 4) and record.knows("x0_hat", 4))
    frame = model.look().pictures.frame
    np.testing.assert_array_equal(frame.other, record.picture("unguided", 4))
    assert frame.difference.shape == (4, 16, 16, 3)
    model.pictures.set_layout("grid")
    model.compare_new()
    model.tree.edit("seed", 9)
    model.tree.settle()
    settled(model)
    model.player.seek(4)
    frame = exact(model)
    qtbot.waitUntil(lambda: bool(model.look()) and model.chains.compared.knows("x0_hat", 4))
    frame = model.look().pictures.frame
    np.testing.assert_array_equal(frame.other, model.chains.compared.picture("x0_hat", 4))
    assert frame.difference.shape == (4, 16, 16, 3)

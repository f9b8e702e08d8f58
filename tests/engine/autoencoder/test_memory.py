"""What is looked at and measured needs memory for a part of it at a time, however large images are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.autoencoder import model as opened
from diffusion_studio.engine.autoencoder.look import MOST_FOR_PRINCIPAL, Onlooker
from diffusion_studio.engine.autoencoder.measures import CodeReport, gradient_variances, measure, scatter
from diffusion_studio.engine.autoencoder.model import CodeModel
from support.codes import code_config, learned, spectrum_images

IMAGES = spectrum_images(60)
FEW = 6  # images at once


def trained(kind: str, **values) -> CodeModel:
    return learned(code_config(kind, training__steps=2, **values), IMAGES).model(2)


class Largest(TorchDispatchMode):
    """Remembers how many numbers the largest tensor had that anything gave."""

    most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if isinstance(found, Tensor):
            self.most = max(self.most, found.numel())
        return found


@pytest.fixture
def calls(monkeypatch):
    """How many images each call of a network took, where few of them go through it together."""
    monkeypatch.setattr(opened, "PIXELS_AT_ONCE", FEW * 16)
    found: list[int] = []

    def watched(model: CodeModel) -> list[int]:
        for name in ("encode", "decode"):
            method = getattr(model.network, name)

            def asked(x, method=method):
                found.append(x.numel() // x.shape[-1] if method.__name__ == "decode" else len(x))
                return method(x)

            monkeypatch.setattr(model.network, name, asked)
        return found

    return watched


def test_that_a_covariance_is_made_once_for_all_draws_of_an_image():
    model = trained("hvae", hierarchy__levels=3, hierarchy__same_dimension=True)
    pixels, draws = IMAGES.images[0].size, 100
    with Largest() as seen:
        found = scatter(model, IMAGES.images[0], draws, 0)
    assert np.isfinite([*found.plain, *found.triples, *found.posterior]).all()
    assert pixels**2 <= seen.most <= 2 * draws * pixels < draws * pixels**2


@pytest.mark.parametrize("kind", ["ae", "vae", "hvae"])
def test_that_few_images_go_through_a_network_together(kind, calls):
    model = trained(kind)
    asked = calls(model)
    Onlooker(IMAGES, np.arange(60), 0).seen(model)
    *_, report = measure(model, IMAGES.images[:20], 5, 0)
    assert isinstance(report, CodeReport) and report.images == 20
    model.samples(20, 0)
    assert sum(asked) > 100 and max(asked) <= FEW


def test_that_parts_of_the_draws_are_all_of_them(calls):
    plain, levels = trained("vae"), trained("hvae")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(opened, "PIXELS_AT_ONCE", 1 << 18)
        whole = gradient_variances(plain, IMAGES.images[0], 20, 0), scatter(levels, IMAGES.images[0], 20, 0)
    asked = calls(plain)
    assert gradient_variances(plain, IMAGES.images[0], 20, 0) == pytest.approx(whole[0], rel=1e-4)
    assert scatter(levels, IMAGES.images[0], 20, 0).posterior == pytest.approx(whole[1].posterior, rel=1e-6)
    assert len(asked) > 4 and max(asked) <= FEW


def test_that_between_two_parts_a_stop_is_heeded(calls):
    model, levels = trained("vae"), trained("hvae")
    asked, heard = calls(model), []

    def heed() -> None:
        heard.append(len(asked))
        if len(heard) == 3:
            raise Cancelled

    for work in (
        lambda: model.samples(100, 0, heed), lambda: scatter(levels, IMAGES.images[0], 100, 0, heed),
        lambda: gradient_variances(model, IMAGES.images[0], 100, 0, heed),
    ):  # fmt: skip
        heard.clear()
        with pytest.raises(Cancelled):
            work()
        assert len(heard) == 3


def test_that_no_copy_is_kept_of_images_too_large_for_their_principal_components():
    large = replace(IMAGES, images=np.zeros((60, 1, 33, 33), np.uint8))
    assert large.images[0].size > MOST_FOR_PRINCIPAL
    onlooker = Onlooker(large, np.arange(60), 0)
    assert onlooker._all is None and onlooker.principal() is None
    assert Onlooker(IMAGES, np.arange(60), 0).principal() is not None

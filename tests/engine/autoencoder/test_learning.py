"""What is learned beside what is exact: principal components, probabilistic PCA, a hierarchy of one level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from diffusion_studio.core.autoencoder.linear import LinearVAE, active_latents
from diffusion_studio.core.autoencoder.principal import PrincipalComponents, subspace_angle
from diffusion_studio.core.autoencoder.weighted import importance_weighted
from diffusion_studio.engine.autoencoder.bound import bound_terms
from diffusion_studio.engine.autoencoder.exact import exact_case, learned_linear
from diffusion_studio.engine.autoencoder.look import Onlooker
from diffusion_studio.engine.autoencoder.measures import log_weights
from diffusion_studio.engine.autoencoder.model import CodeModel
from support.codes import code_config, learned, spectrum_images

IMAGES = spectrum_images()
PIXELS = torch.from_numpy(IMAGES.images / 127.5 - 1)  # float64 (N, 1, 4, 4)
PARTS = PrincipalComponents.of(PIXELS)
DIMS = 16
FAST = {"code__network": "linear", "training__batch_size": 200, "training__learning_rate": 5e-2,
        "training__ema_decay": 0.9}  # fmt: skip


def test_that_a_linear_autoencoder_learns_the_principal_components():
    network = learned(code_config("ae", training__steps=1500, **FAST), IMAGES).average.double()
    weights = network.weights
    assert weights is not None
    assert subspace_angle(PARTS.axes[:, :3], weights[1]) < 1
    out = network.decode(network.encode(PIXELS)[0])
    error = float(((out - PIXELS) ** 2).flatten(1).sum(1).mean())
    assert error == pytest.approx(PARTS.discarded(3), rel=0.01)


@pytest.mark.parametrize("kind", ["vae", "hvae"])
def test_that_a_linear_vae_comes_to_probabilistic_pca(kind):
    """A hierarchy of one level is the VAE."""
    one = {"hierarchy__levels": 1} if kind == "hvae" else {}
    task = learned(code_config(kind, training__steps=1500, **(FAST | one)), IMAGES)
    best = LinearVAE.optimum(PARTS, 3)
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        terms = bound_terms(task.average, task.decoder, PIXELS.float(), generator, draws=64)
    elbo = -float(terms.loss().mean())
    assert abs(elbo - best.mean_log_density(PARTS)) / DIMS < 0.01
    assert float(task.average.log_variance.exp()) == pytest.approx(best.variance, rel=0.05)


def test_that_what_a_linear_vae_learned_stands_beside_the_exact_case():
    task = learned(code_config("vae", training__steps=1500, **FAST), IMAGES)
    model = CodeModel(task.config, task.average)
    case = exact_case(PARTS, 3, 0.01, model.shape)
    found = learned_linear(model, PARTS, IMAGES.images, 1)
    assert found is not None
    assert found.angle < 1
    assert found.values == pytest.approx(case.values[:3], rel=0.2)
    assert found.variance == pytest.approx(case.best, rel=0.05)
    assert case.best_log_p - 0.01 * DIMS < found.log_p <= case.best_log_p + 1e-9
    assert found.turned_error == pytest.approx(found.error, rel=1e-4)
    plain = learned(code_config("ae", training__steps=2, code__network="linear"), IMAGES)
    assert len(learned_linear(CodeModel(plain.config, plain.average), PARTS, IMAGES.images, 1).values) == 0
    mlp = learned(code_config("vae", training__steps=2), IMAGES)
    assert learned_linear(CodeModel(mlp.config, mlp.average), PARTS, IMAGES.images, 1) is None


def test_that_the_error_of_a_bernoulli_decoder_is_one_of_pixels():
    config = code_config("vae", training__steps=2, code__network="linear", decoder__kind="bernoulli")
    task = learned(config, IMAGES)
    with torch.inference_mode():
        seen = task.decoder.image(task.average.decode(task.average.encode(PIXELS.float())[0]))
    error = float(((seen - PIXELS) ** 2).flatten(1).sum(1).mean())
    found = learned_linear(CodeModel(task.config, task.average), PARTS, IMAGES.images, 1)
    assert found.error == pytest.approx(error, rel=1e-4)


@pytest.mark.parametrize("active", [1, 2, 3])
def test_that_latents_collapse_where_their_eigenvalue_lies_below_the_decoder_variance(active):
    values = PARTS.values.tolist()
    variance = (values[active - 1] * max(values[active], 0.02)) ** 0.5 if active < 3 else 0.02
    assert active_latents(PARTS.values, variance) == active
    config = code_config(
        "vae", training__steps=800, decoder__kind="gaussian", decoder__variance=variance, **FAST
    )
    task = learned(config, IMAGES)
    with torch.inference_mode():
        terms = bound_terms(task.average, task.decoder, PIXELS.float(), torch.Generator().manual_seed(0))
    assert int((terms.kl.mean(0) > 0.02).sum()) == active


def test_that_the_weighted_bound_of_a_trained_vae_rises_with_its_draws():
    task = learned(code_config("vae", code__network="mlp", training__steps=200), IMAGES)
    model = CodeModel(task.config, task.average)
    weights = log_weights(model, IMAGES.images[:50], 64, torch.Generator().manual_seed(0))
    bounds = [float(importance_weighted(weights, k).mean()) for k in (1, 4, 16, 64)]
    assert bounds == sorted(bounds)


def test_that_more_weight_on_the_divergence_makes_codes_less_certain():
    light, heavy = (
        learned(code_config("vae", training__steps=300, kl_weight=w, decoder__kind="gaussian",
                            decoder__variance=0.05, **FAST), IMAGES)
        for w in (0.1, 5.0)
    )  # fmt: skip
    found = []
    for task in (light, heavy):
        with torch.inference_mode():
            terms = bound_terms(task.average, task.decoder, PIXELS.float(), torch.Generator().manual_seed(0))
        found.append((float(terms.kl.sum(1).mean()), float(terms.reconstruction.mean())))
    assert found[0][0] > found[1][0]
    assert found[0][1] < found[1][1]


def test_that_codes_and_pictures_have_their_shapes():
    for kind in ("ae", "vae", "hvae"):
        for network in ("linear", "mlp", "conv"):
            task = learned(code_config(kind, training__steps=2, code__network=network), IMAGES)
            model = task.model(2)
            codes = model.codes(IMAGES.images[:5])
            assert codes.shape == (5, 3)
            assert model.decoded(codes).shape == (5, 4, 4, 1)
            assert model.samples(3, 0).dtype == np.uint8
            assert np.array_equal(model.samples(3, 0), model.samples(3, 0))


def test_that_convolutions_take_pictures_of_any_size():
    images = replace(IMAGES, images=np.zeros((8, 1, 10, 10), np.uint8), labels=np.full(8, -1))
    task = learned(code_config("vae", training__steps=2, code__network="conv"), images)
    assert task.model(2).decoded(np.zeros((5, 3), np.float32)).shape == (5, 10, 10, 1)


@pytest.mark.parametrize(("kind", "decoded"), [("ae", 1), ("vae", 1), ("hvae", 2)])
def test_that_a_look_has_the_codes_of_the_model_and_the_kl_of_the_bound(kind, decoded, monkeypatch):
    """Only a hierarchy goes through its decoder for that; pictures and samples are decoded at once."""
    task = learned(code_config(kind, training__steps=2), IMAGES)
    model = CodeModel(task.config, task.average)
    calls, decode = [], model.network.decode
    monkeypatch.setattr(model.network, "decode", lambda z: calls.append(len(z)) or decode(z))
    seen = Onlooker(IMAGES, np.arange(100), 0).seen(model)
    assert len(calls) == decoded
    np.testing.assert_allclose(seen.codes, model.codes(IMAGES.images[:100]), rtol=1e-5, atol=1e-6)
    if kind == "ae":
        assert len(seen.kl) == 0
        return
    with torch.inference_mode():
        pixels = model.pixels(IMAGES.images[:100])
        terms = bound_terms(model.network, model.decoder, pixels, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(seen.kl, terms.kl.mean(0), rtol=1e-5, atol=1e-6)

"""One way to read a network: the same in training and sampling, whatever the network counts by itself."""

from __future__ import annotations

import builtins
from typing import Any

import pytest
import torch

from diffusion_studio.core.denoisers.denoiser import NO_LABEL
from diffusion_studio.core.objective.weights import plain_weight
from diffusion_studio.core.process.schedules import CosineSchedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.models.network import NetworkDenoiser, Output
from diffusion_studio.models.noisy_classifier import ClassifierNetwork, NoisyClassifier, TrainedClassifier
from diffusion_studio.models.score_mlp import PlaneNetwork, ScoreMLP
from diffusion_studio.models.unet import UNet, UNetSpec, build_unet
from support.processors import processors

T, K = 50, 3
TABLES = Tables.from_betas(CosineSchedule().betas(T))


def image_network(classes: int = K, learned: bool = False) -> UNet:
    torch.manual_seed(0)
    spec = UNetSpec(width=8, multipliers=(1, 2), layers=1, attention=0).resolved(8, False)
    return UNet(build_unet(spec, 8, 1, classes, learned).eval(), classes)


def plane_network() -> PlaneNetwork:
    torch.manual_seed(0)
    return PlaneNetwork(ScoreMLP(16, classes=K), TABLES, torch.linspace(0.5, 2, T + 1))


def states(network, count: int = 6) -> torch.Tensor:
    shape = (count, 2) if isinstance(network, PlaneNetwork) else (count, 1, 8, 8)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


NETWORKS = [image_network(), image_network(0), image_network(learned=True), plane_network()]


@pytest.mark.parametrize("network", NETWORKS, ids=["U-Net", "without classes", "learned variance", "plane"])
def test_that_a_denoiser_says_what_predict_says_at_one_time(network):
    x, labels = states(network), torch.tensor([0, 1, 2, NO_LABEL, 0, NO_LABEL])
    output = network.predict(x, torch.full((6,), 20), labels)
    prediction = NetworkDenoiser(TABLES, network, "v")(x, 20, labels)
    assert output.value.requires_grad and not prediction.value.requires_grad
    assert torch.equal(prediction.value, output.value)
    assert prediction.alpha_bar == TABLES.alpha_bar_at(20)
    assert network.learns_variance is (prediction.fraction is not None) is (output.fraction is not None)
    if output.fraction is not None:
        assert torch.equal(prediction.fraction, output.fraction)
        assert output.fraction.shape == x.shape


@pytest.mark.parametrize("network", NETWORKS, ids=["U-Net", "without classes", "learned variance", "plane"])
def test_that_every_sample_stands_at_its_own_time(network):
    x, times, labels = states(network), torch.tensor([1, T, 7, 20, 33, 2]), torch.tensor([0, 1, 2, 0, 1, 2])
    whole = network.predict(x, times, labels).value
    for i in range(6):
        alone = network.predict(x[i : i + 1], times[i : i + 1], labels[i : i + 1]).value
        torch.testing.assert_close(whole[i : i + 1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS, ids=["U-Net", "without classes", "learned variance", "plane"])
def test_that_no_labels_are_no_label(network):
    x, times = states(network), torch.full((6,), 9)
    without = network.predict(x, times, torch.full((6,), NO_LABEL)).value
    assert torch.equal(network.predict(x, times).value, without)
    changed = not torch.equal(network.predict(x, times, torch.arange(6) % K).value, without)
    assert changed is (network.classes > 0)


def test_that_a_u_net_counts_from_0_puts_no_class_last_and_its_variance_behind():
    network, asked = image_network(learned=True), []
    network.unet.register_forward_pre_hook(lambda module, arguments: asked.append(arguments[1:]))
    x, times = states(network, 3), torch.tensor([1, 20, T])
    output = network.predict(x, times, torch.tensor([2, NO_LABEL, 0]))
    ((t, labels),) = asked
    assert (t.tolist(), labels.tolist()) == ([0, 19, T - 1], [2, K, 0])
    value, raw = network.unet(x, t, labels).sample.chunk(2, dim=1)
    assert torch.equal(output.value, value)
    assert torch.equal(output.fraction, (raw + 1) / 2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_that_what_is_said_has_the_precision_of_the_state(precision):
    network = image_network(learned=True)
    network.precision = precision
    output = network.predict(states(network), torch.full((6,), 9))
    assert output.value.dtype == output.fraction.dtype == torch.float32


def test_that_gradients_flow_after_the_same_labels_were_sampled_with():
    network, labels = image_network(), torch.tensor([0, NO_LABEL, 2])
    x = states(network, 3)
    NetworkDenoiser(TABLES, network)(x, 5, labels)
    network.predict(x, torch.full((3,), 5), labels).value.sum().backward()
    assert network.unet.class_embedding.weight.grad.abs().sum() > 0


def test_that_labels_of_a_chain_are_turned_once():
    network, labels, x = image_network(), torch.tensor([0, NO_LABEL, 2]), torch.zeros(3, 1, 8, 8)
    seen = []
    network.unet.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[2]))
    denoiser = NetworkDenoiser(TABLES, network)
    for t in (30, 20, 10):
        denoiser(x, t, labels)
    denoiser(x, 5, labels.clone())
    first, *others = seen
    assert [code is first for code in others] == [True, True, False]


def test_that_no_label_is_refused_by_a_network_that_knows_none():
    strict = UNet(image_network(K - 1).unet, K)  # as many embeddings as classes
    x, times = torch.zeros(2, 1, 8, 8), torch.full((2,), 5)
    strict.predict(x, times, torch.tensor([0, 2]))
    for labels in (None, torch.tensor([0, NO_LABEL])):
        with pytest.raises(Refused, match="no image without a class"):
            strict.predict(x, times, labels)


def test_that_at_time_0_a_network_says_what_it_says_at_1():
    network = plane_network()
    denoiser, x = NetworkDenoiser(TABLES, network), states(network)
    assert torch.equal(denoiser(x, 0).score_hat, denoiser(x, 1).score_hat)


def test_that_a_classifier_is_read_at_one_time_for_each_sample():
    torch.manual_seed(0)
    network = NoisyClassifier(8, 1, K, width=8).eval()
    x, read = torch.randn(4, 1, 8, 8), ClassifierNetwork(network, TABLES)
    trained = TrainedClassifier(network, TABLES, K)
    logits = read.predict(x, torch.tensor([1, 20, 20, T]))
    for i, t in enumerate((1, 20, 20, T)):
        expected = torch.log_softmax(logits[i : i + 1], 1)
        torch.testing.assert_close(trained.log_probs(x[i : i + 1], t), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("classes", [0, K])
def test_that_no_value_is_read_back_from_the_device(classes):
    """On a device without values, whatever waits for one fails."""
    network = image_network(classes, learned=True)
    network.unet.to("meta")
    x, t, labels = (
        values.to("meta")
        for values in (torch.zeros(3, 1, 8, 8), torch.tensor([1, 2, 3]), torch.arange(3) - 1)
    )
    assert network.predict(x, t, labels).value.device.type == "meta"
    prediction = NetworkDenoiser(TABLES, network)(x, 20, labels)
    assert prediction.x0_hat.shape == prediction.fraction.shape == x.shape


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize(("company", "least"), [(False, 64), (True, 2)])
@pytest.mark.parametrize("count", [1, 2, 5, 127, 128, 200])
def test_that_many_images_are_asked_about_in_parts(classes, count, company, least):
    """Beside other programs a few are, each part without helper threads."""
    network = image_network(classes)
    x = torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(count))
    t, labels = torch.arange(1, count + 1), torch.arange(count) % 3 if classes else None
    with torch.inference_mode():
        whole = network.predict(x, t, labels).value
        sizes, threads = [], set()

        def note(module, arguments):
            sizes.append(len(arguments[0]))
            threads.add(torch.get_num_threads())

        network.unet.register_forward_pre_hook(note)
        with processors(3, company=company):
            parts = network.predict(x, t, labels).value
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-5)
    assert len(sizes) == min(3, max(1, count // least)) and sum(sizes) == count
    assert threads == {1} or not company


def test_that_the_library_is_imported_where_tensors_have_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch 2.6 reads some while it is imported as a whole, which fails where they are only planned."""
    real, places = builtins.__import__, []

    def watched(name: str, *others: Any) -> Any:
        if name == "diffusers":
            places.append(torch.empty(1).device.type)
        return real(name, *others)

    monkeypatch.setattr(builtins, "__import__", watched)
    with torch.device("meta"):
        network = build_unet(UNetSpec().resolved(8, False), 8, 1, 0)
    assert places == ["cpu"]
    assert network.conv_in.weight.is_meta


def test_that_the_network_of_edm_is_its_denoiser() -> None:
    """D = c_skip x + c_out F(c_in x), with the c of EDM's table 1; its weight is 1 on F's own error."""
    tables = Tables.from_betas(CosineSchedule().betas(1000))
    t = torch.tensor([1, 200, 500, 900, 990])
    level, sd = tables.noise_level[t][:, None], 0.5
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * (1 + level)
    width = (level**2 + sd**2).sqrt()

    class Odd:
        learns_variance, classes = False, 0

        def predict(self, x_t, t, labels=None):
            return Output(torch.sin(3 * x_t) + x_t / 2)

    raw = Odd().predict(x / width, t).value
    d = sd**2 / width**2 * x + level * sd / width * raw
    denoiser = NetworkDenoiser(tables, Odd(), "edm")
    for row, time in enumerate(t.tolist()):
        x_t = x[row : row + 1] * tables.alpha_bar_at(time) ** 0.5
        torch.testing.assert_close(denoiser(x_t, time).x0_hat, d[row : row + 1], rtol=1e-10, atol=1e-10)
    weight = plain_weight("edm").on_eps(tables)[t][:, None]
    on_image = (level**2 + sd**2) / (level * sd) ** 2  # EDM's λ, on the x_0 error
    torch.testing.assert_close(weight, on_image * level**2, rtol=1e-9, atol=0)

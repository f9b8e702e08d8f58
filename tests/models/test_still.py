"""A copy of a network that goes on learning."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from diffusion_studio.core.describe import with_values
from diffusion_studio.engine.autoencoder.build import build_network
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig, HVAEConfig, VAEConfig
from diffusion_studio.models.still import still


@pytest.mark.parametrize(
    "config",
    [
        VAEConfig(),
        with_values(VAEConfig(), {"code.network": "conv"}.items()),
        with_values(VAEConfig(), {"code.network": "kl", "code.width": 64}.items()),
        HVAEConfig(),
    ],
    ids=["mlp", "conv", "kl", "levels"],
)
def test_it_is_what_a_deep_copy_is_and_shares_no_tensor(config: AutoencoderConfig) -> None:
    network = build_network(config, (1, 8, 8)).eval()
    found, expected = still(network), copy.deepcopy(network).requires_grad_(False)
    assert type(found) is type(network)
    assert not found.training
    theirs, ours = expected.state_dict(), found.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert all(ours[name].stride() == theirs[name].stride() for name in theirs)
    assert not any(weight.requires_grad for weight in found.parameters())
    places = {x.untyped_storage().data_ptr() for x in network.state_dict().values()}
    assert not places & {x.untyped_storage().data_ptr() for x in ours.values()}
    known = {id(module) for module in network.modules()}
    assert not any(id(module) in known for module in found.modules())


def test_it_answers_as_before_whatever_becomes_of_the_network() -> None:
    network = build_network(VAEConfig(), (1, 8, 8)).eval()
    x = torch.linspace(-1, 1, 128).reshape(2, 1, 8, 8)
    found = still(network)
    with torch.no_grad():
        before = network.encode(x)[0]
        for weight in network.parameters():
            weight.add_(1)
        assert torch.equal(found.encode(x)[0], before)
        assert not torch.equal(network.encode(x)[0], before)


def test_weights_that_two_modules_share_are_shared_in_the_copy() -> None:
    one, other = nn.Linear(3, 3), nn.Linear(3, 3)
    other.weight = one.weight
    found = still(nn.Sequential(one, other))
    assert found[0].weight is found[1].weight
    assert found[0].weight is not one.weight

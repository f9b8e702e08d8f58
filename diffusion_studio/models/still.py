"""A copy of a network as it stands, for whoever looks at it while the network goes on learning."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


def still(network: M) -> M:
    """The same network with weights of its own, which ask for no gradients.

    What is not a weight, a buffer or a module is shared: it does not change while a network learns. So this
    is several times as fast as `copy.deepcopy`, which goes through every dictionary of every module.
    """
    return _still(network, {})


def _still(module: M, weights: dict[Tensor, nn.Parameter]) -> M:
    """
    Args:
        weights: those that were copied already, by what they were: two modules may share one.
    """

    def own(weight: Tensor | None) -> nn.Parameter | None:
        if weight is None:
            return None
        if weight not in weights:
            weights[weight] = nn.Parameter(weight.detach().clone(), requires_grad=False)
        return weights[weight]

    twin = copy.copy(module)
    vars(twin).update(
        _parameters={name: own(weight) for name, weight in module._parameters.items()},
        _buffers={name: None if x is None else x.clone() for name, x in module._buffers.items()},
        _modules={name: None if m is None else _still(m, weights) for name, m in module._modules.items()},
    )
    return twin

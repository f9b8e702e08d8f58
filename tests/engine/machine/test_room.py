"""A network that no machine has room for is refused before it is built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from diffusion_studio.core.describe import with_values
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.autoencoder.build import build_network, planned_network
from diffusion_studio.engine.autoencoder.session import new_session
from diffusion_studio.engine.classifier.training import ClassifierSpec, train_classifier
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.jobs.events import Finished
from diffusion_studio.engine.machine import room
from support.codes import code_config
from support.tiny import CPU, begin, finish, only, resume, tiny_config, write_pictures

ENOUGH = 20 << 30


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model.multipliers": "16,16", "model.width": 512, "model.layers": 4}, r"billion weights and need"),
        ({"model.multipliers": "17"}, "at most 16"),
        ({"model.multipliers": f"1,{10**30}"}, "at most 16"),
        ({"model.multipliers": "1,0"}, "at least 1"),
        ({"model.multipliers": "1,-2"}, "at least 1"),
        ({"model.multipliers": ",".join(["1"] * 20_000)}, "from 1 to 9 levels"),
    ],
)
def test_that_a_giant_network_is_refused_and_leaves_no_run(changes, words, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "memory_of", lambda _: ENOUGH)
    config = with_values(tiny_config(), list(changes.items()))
    with pytest.raises(Refused, match=words):
        begin(tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_that_a_giant_classifier_is_refused(tmp_path: Path, monkeypatch):
    finish(begin(tmp_path / "run", tiny_config(steps=1)))
    monkeypatch.setattr(room, "memory_of", lambda _: 10**6)
    told = list(train_classifier(tmp_path / "run", ClassifierSpec(steps=1), CPU, Control()))
    (end,) = only(told, Finished)
    assert end.outcome == "failed"
    assert "billion weights and need" in end.message


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("ae", {"code__network": "linear"}), ("vae", {}), ("vae", {"code__network": "conv"}),
        ("ae", {"code__network": "kl"}), ("hvae", {}),
        ("hvae", {"hierarchy__same_dimension": True, "hierarchy__fixed_encoder": True}),
    ],
)  # fmt: skip
def test_that_the_size_of_an_autoencoder_is_known_before_it_is_built(kind, values):
    config = code_config(kind, **values)
    planned, built = (make(config, (3, 8, 8)) for make in (planned_network, build_network))
    assert all(part.is_meta for part in (*planned.parameters(), *planned.buffers()))
    assert [(name, part.shape) for name, part in planned.state_dict().items()] == [
        (name, part.shape) for name, part in built.state_dict().items()
    ]


def test_that_a_giant_autoencoder_is_refused_before_it_is_built(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(room, "memory_of", lambda _: 10**5)  # enough for the encoder and the decoder alone
    monkeypatch.setattr("diffusion_studio.engine.autoencoder.task.build_network", None)
    source = str(write_pictures(tmp_path / "zoo"))
    config = code_config("hvae", hierarchy__same_dimension=True, data__source=source)
    with pytest.raises(Refused, match="billion weights and need"):
        new_session(tmp_path / "run", config, CPU, Control())
    assert not (tmp_path / "run").exists()


def test_that_what_fits_is_not_refused(monkeypatch):
    monkeypatch.setattr(room, "memory_of", lambda _: 20 * 110)
    room.check_room(lambda: torch.nn.Linear(10, 10), CPU)
    monkeypatch.setattr(room, "memory_of", lambda _: 20 * 110 - 1)
    with pytest.raises(Refused, match="The network would have"):
        room.check_room(lambda: torch.nn.Linear(10, 10), CPU)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("multipliers", [2**63, 2], "at most 16"), ("multipliers", [], "from 1 to 9 levels"),
     ("multipliers", [1] * 9, "at least 256"), ("width", 0, "multiple of 8"),
     ("layers", 0, "at least one")],
)  # fmt: skip
def test_that_a_config_of_somebody_else_is_looked_at_as_well(name, value, words, tmp_path: Path):
    finish(begin(tmp_path / "run", tiny_config(steps=1)))
    file = tmp_path / "run" / "config.json"
    content = json.loads(file.read_text())
    content["config"]["model"][name] = value
    file.write_text(json.dumps(content))
    with pytest.raises(Refused, match=words):
        resume(tmp_path / "run")

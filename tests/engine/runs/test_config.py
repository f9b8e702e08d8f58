"""Every parameter is described, bounded and written to JSON and back; automatic sizes can be built."""

from __future__ import annotations

import ctypes
import json
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from diffusion_studio.core.describe import Choice, Knob, get_value, knobs, members, with_value
from diffusion_studio.core.process.schedules import LinearSchedule, Schedule
from diffusion_studio.core.process.spacing import Spacing
from diffusion_studio.core.samplers import Sampler
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.machine import devices
from diffusion_studio.engine.machine.devices import (
    available_devices,
    choose_device,
    choose_precision,
    device_name,
    sampling_precision,
)
from diffusion_studio.engine.runs.config import DiffusionSpec, RunConfig
from diffusion_studio.engine.training.session import resolve
from diffusion_studio.models.unet import Precision, UNet, UNetSpec, build_unet, padded
from support.tiny import CPU, tiny_config

CONFIGS: list[Choice] = [RunConfig(), SampleSpec()]
for family, path in ((Sampler, "sampler.kind"), (Spacing, "spacing.kind")):
    CONFIGS += [with_value(SampleSpec(), path, kind) for kind in members(family)]
CONFIGS += [with_value(RunConfig(), "diffusion.schedule.kind", kind) for kind in members(Schedule)]
ALL = pytest.mark.parametrize("config", CONFIGS, ids=lambda c: ", ".join(kinds(c)))


def kinds(config: Choice) -> list[str]:
    return [str(get_value(config, knob.path)) for knob in knobs(config) if knob.type == "family"]


@ALL
def test_that_every_parameter_is_described(config: Choice) -> None:
    for knob in knobs(config):
        assert knob.help.endswith("."), knob
        assert "  " not in knob.help, knob
        assert len(knob.help) > 12, knob
        assert knob.title, knob
        assert knob.title == knob.title.strip(), knob
        assert len(knob.options) > 1 or knob.type not in ("choice", "family"), knob
        lowest = knob.low is not None and (knob.low > 0 or knob.open_low or 0 in dict(knob.words))
        assert knob.scale == "linear" or lowest, knob


@ALL
def test_that_every_number_is_bounded_and_its_bounds_hold(config: Choice) -> None:
    numbers = [knob for knob in knobs(config) if knob.type in ("int", "float")]
    assert numbers
    for knob in numbers:
        assert knob.low is not None, knob
        assert knob.high is not None, knob
        assert knob.low <= knob.default <= knob.high, knob
        for value in just_outside(knob):
            with pytest.raises(ValueError, match=knob.path.split(".")[-1]):
                with_value(config, knob.path, value)


def just_outside(knob: Knob) -> list[float]:
    assert knob.low is not None
    assert knob.high is not None
    step = 1 if knob.type == "int" else 1e-6
    below = knob.low if knob.open_low else knob.low - step
    return [below, knob.high if knob.open_high else knob.high + step]


@pytest.mark.parametrize("text", ["nan", "inf", "many", ""])
@pytest.mark.parametrize("path", ["training.learning_rate", "training.batch_size", "seed"])
def test_that_what_is_no_number_is_refused(path: str, text: str) -> None:
    with pytest.raises(ValueError, match=path):
        with_value(RunConfig(), path, text)


@ALL
def test_that_a_config_goes_through_json(config: Choice) -> None:
    text = json.dumps(config.model_dump(mode="json"))
    assert type(config).model_validate(json.loads(text)) == config
    assert type(config).model_validate_json(text) == config


@ALL
def test_that_every_value_can_be_set_by_its_path(config: Choice) -> None:
    for knob in knobs(config):
        assert with_value(config, knob.path, get_value(config, knob.path)) == config


def test_that_a_list_of_variances_is_given_one_path_after_the_other() -> None:
    """Until it is there, the explicit schedule is the linear one."""
    config = with_value(RunConfig(), "diffusion.steps", 3)
    config = with_value(config, "diffusion.schedule.kind", "explicit")
    assert torch.equal(config.diffusion.tables().beta[1:], LinearSchedule().betas(3))
    config = with_value(config, "diffusion.schedule.values", "0.1 0.2 0.9")
    assert config.diffusion.tables().beta[1:].tolist() == [0.1, 0.2, 0.9]


def test_that_a_schedule_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="lists 2 variances, but T is 1000"):
        DiffusionSpec.model_validate({"schedule": {"kind": "explicit", "values": [0.1, 0.2]}})


@pytest.mark.parametrize("fast", [False, True])
def test_that_an_automatic_network_fits_every_resolution(fast: bool) -> None:
    for resolution in range(4, 513):
        spec = UNetSpec().resolved(resolution, fast)
        whole = padded(resolution, len(spec.multipliers))
        assert whole**2 <= 1.25 * resolution**2, resolution
        assert 3 <= whole >> len(spec.multipliers) - 1 <= 17, resolution
        assert spec.width % 8 == 0
        assert spec.layers >= 1
        assert spec.attention >= 0
        assert all(multiple >= 1 for multiple in spec.multipliers)
        assert spec.resolved(resolution, not fast) == spec, "a resolved size stays as it is elsewhere"


@pytest.mark.parametrize(
    ("resolution", "levels"), [(8, 2), (16, 3), (28, 3), (32, 3), (36, 3), (64, 4), (128, 5)]
)
def test_that_what_can_be_halved_is_halved_without_a_margin(resolution: int, levels: int) -> None:
    assert len(UNetSpec().resolved(resolution, False).multipliers) == levels
    assert padded(resolution, levels) == resolution


@pytest.mark.parametrize(("resolution", "whole"), [(30, 32), (60, 64), (100, 104), (250, 256), (500, 512)])
def test_that_what_nearly_can_gets_a_margin(resolution: int, whole: int) -> None:
    assert padded(resolution, len(UNetSpec().resolved(resolution, False).multipliers)) == whole


def test_that_the_margins_are_those_that_a_person_is_told() -> None:
    told = next(knob.help for knob in knobs(RunConfig()) if knob.path == "data.resolution")
    assert told.endswith(": 52 px take as long as 56, 60 as 64.")
    for side, larger in ((52, 56), (60, 64)):
        networks = {UNetSpec().resolved(each, fast_device=False) for each in (side, larger)}
        assert len(networks) == 1 and padded(side, len(networks.pop().multipliers)) == larger


@pytest.mark.parametrize("resolution", [4, 8, 9, 12, 16, 20, 28, 30, 32])
@pytest.mark.parametrize("conditional", [False, True])
def test_that_an_automatic_network_can_be_built(resolution: int, conditional: bool) -> None:
    count = 6
    images = ImageSet(
        np.zeros((count, 3, resolution, resolution), np.uint8),
        np.arange(count) % 2,
        ("a", "b"),
        (),
        (),
        "",
        "",
    )
    config = tiny_config(conditional=conditional)
    automatic = with_value(with_value(config, "model.multipliers", ()), "model.attention", -1)
    spec = resolve(automatic, images, CPU)
    assert (spec.data.resolution, spec.data.channels) == (resolution, 3)
    assert spec.model.width == 8
    unet = build_unet(spec.model, resolution, 3, 2 if conditional else 0)
    x = torch.randn(2, 3, resolution, resolution)
    labels = torch.tensor([0, -1]) if conditional else None
    network = UNet(unet, 2 if conditional else 0)
    assert network.predict(x, torch.tensor([1, 50]), labels).value.shape == x.shape


@pytest.mark.parametrize("attention", [0, 4, 8, 64])
@pytest.mark.parametrize("width", [8, 24])
def test_that_every_width_and_attention_can_be_built(width: int, attention: int) -> None:
    spec = UNetSpec(width=width, multipliers=(1, 2), layers=1, attention=attention).resolved(8, False)
    unet = build_unet(spec, 8, 1, 0)
    assert unet(torch.zeros(1, 1, 8, 8), 3).sample.shape == (1, 1, 8, 8)


def test_that_only_devices_that_are_there_are_chosen() -> None:
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type == available_devices()[0]
    missing = next(name for name in ("mps", "cuda") if name not in available_devices())
    with pytest.raises(ValueError, match=f"no device '{missing}' that PyTorch can use. Available: .*cpu"):
        choose_device(missing)
    assert device_name(CPU).startswith("CPU · ")


@pytest.fixture
def tried_anew() -> Iterator[None]:
    """What is known of this processor is found out in the test, and again after it."""
    devices.bf16_is_faster.cache_clear()
    yield
    devices.bf16_is_faster.cache_clear()


@pytest.mark.parametrize(
    ("has", "disturbed", "in_bf16", "expected"),
    [
        (True, 1.0, 0.6, "bf16"),
        (True, 1.0, 1.6, "fp32"),
        (True, 9.0, 0.6, "bf16"),  # another program has the processor in all turns but one
        (True, 9.0, 1.6, "fp32"),
        (False, 1.0, 0.6, "fp32"),
    ],
)
def test_that_precision_is_that_which_the_processor_is_faster_in(
    has: bool, disturbed: float, in_bf16: float, expected: str, tried_anew: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    turns: list[str] = []

    def seconds(x: Tensor, weight: Tensor, precision: Precision) -> float:
        turns.append(precision)
        took = 1.0 if precision == "fp32" else in_bf16
        return took if len(turns) in (5, 6) else took * disturbed

    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has)
    monkeypatch.setattr(devices, "_cost_of_convolution", seconds)
    assert [choose_precision("auto", CPU) for _ in range(3)] == [expected] * 3
    assert sampling_precision(CPU, 28) == expected
    assert sampling_precision(CPU, 8) == "fp32"
    assert turns == (["fp32", "bf16"] * (len(turns) // 2) if has else [])
    assert len(turns) <= 12  # tried once
    assert choose_precision("bf16", CPU) == "bf16"
    assert choose_precision("fp32", CPU) == "fp32"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_that_a_convolution_is_tried_there_and_back(
    precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, weight = torch.ones(2, 3, 4, 4, requires_grad=True), torch.ones(3, 3, 3, 3, requires_grad=True)
    given = []
    gradient = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *of: given.append((of[0].dtype, gradient(*of))))
    assert devices._cost_of_convolution(x, weight, precision) > 0
    [(dtype, (of_x, of_weight))] = given
    assert dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)
    assert of_x[0, 0, 0, 0] == 12 and of_weight.shape == weight.shape


@pytest.mark.skipif(sys.platform == "win32", reason="cycles are no seconds")
def test_that_the_waiting_of_a_thread_is_no_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    convolution = torch.nn.functional.conv2d

    def late(*given: Tensor, padding: int) -> Tensor:
        threading.Event().wait(0.5)  # as for the turn of a thread that is busy in Python
        return convolution(*given, padding=padding)

    x, weight = torch.ones(1, 1, 4, 4, requires_grad=True), torch.ones(1, 1, 3, 3, requires_grad=True)
    devices._cost_of_convolution(x, weight, "fp32")  # what is loaded then is computed too
    monkeypatch.setattr(torch.nn.functional, "conv2d", late)
    assert devices._cost_of_convolution(x, weight, "fp32") < 0.4


def test_that_windows_counts_the_cycles_of_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel:
        @staticmethod
        def QueryThreadCycleTime(thread: ctypes.c_void_p, cycles: object) -> int:
            assert thread.value == ctypes.c_void_p(-2).value  # the one that asks
            cycles._obj.value = 3_000_000_000_000  # type: ignore[attr-defined]
            return 1

    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=Kernel), raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert devices._computed() == 3e12

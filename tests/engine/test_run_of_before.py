"""A run folder written by version 0.1.0 opens, samples the same images and is resumed bit for bit."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_studio.cli.program import main
from diffusion_studio.engine.chains.chain_tree import load_tree
from diffusion_studio.engine.runs.checkpoints import read_tensors
from diffusion_studio.engine.runs.run import Run

BEFORE = Path(__file__).parents[1] / "fixtures" / "run_0_1_0"
RAW = "trainer/raw.safetensors"
SAMPLED = "--sampler ddpm --steps 10 --count 4 --label 3 --guidance 2 --seed 1"
GUIDED = "--classifier --steps 10 --count 4 --label 3 --guidance 2 --seed 1"


@pytest.fixture
def run(tmp_path):
    """A copy that may be changed."""
    return Path(shutil.copytree(BEFORE / "run", tmp_path / "before"))


def processor() -> str:
    """The model of this machine's processor."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text("utf-8").splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def is_same_machine(described: dict[str, str]) -> bool:
    """Whether the last bits of a product of matrices are those of the machine that wrote the folder."""
    return described == {"torch": str(torch.__version__), "processor": processor()}


def test_that_it_opens(run):
    opened = Run.open(run)
    assert (opened.step, opened.config.objective.variance, len(opened.class_names)) == (6, "hybrid", 10)
    assert opened.metrics.losses().steps.tolist() == [1, 2, 3, 4, 5, 6]
    tree = load_tree(run)
    assert tree is not None
    assert tree.spec_of(1).seed == 5


@pytest.mark.parametrize(("name", "options"), [("ddpm", SAMPLED), ("guided", GUIDED)])
def test_that_it_samples_the_same_images(run, tmp_path, name, options):
    out = tmp_path / "samples.npz"
    assert main(["sample", str(run), "--out", str(out), *options.split()]) == 0
    with np.load(out) as now, np.load(BEFORE / f"{name}.npz") as before:
        np.testing.assert_array_equal(now["labels"], before["labels"])
        np.testing.assert_allclose(now["samples"], before["samples"], atol=2e-5)


def test_that_its_bound_is_the_same(run, tmp_path):
    out = tmp_path / "elbo.json"
    asked = ["evaluate", str(run), "--elbo", "--images", "4", "--draws", "1", "--out", str(out)]
    assert main(asked) == 0
    now, before = (json.loads(path.read_text("utf-8"))["elbo"] for path in (out, BEFORE / "elbo.json"))
    totals = {now["variance"]: now["total"], now["other_variance"]: now["other_total"]}
    assert totals[before["variance"]] == pytest.approx(before["total"], rel=1e-5)
    assert now["total"] == min(totals.values())
    if now["variance"] == before["variance"]:
        np.testing.assert_allclose(now["terms"], before["terms"], rtol=1e-4)


def test_that_it_goes_on_to_the_same_weights(run):
    """Bit for bit on the kind of machine that wrote it; another one adds up in another order.

    Weights that a normalisation takes out again have no gradient but rounding, whose sign AdamW follows with
    whole steps: so the distance to where it went is taken of all weights, beside the way that it went.
    """
    assert main(["train", "digits", "--run", str(run), "--resume", "--steps", "12"]) == 0
    checkpoint = run / "checkpoints" / "step-00000012"
    now, before = read_tensors(checkpoint, RAW), read_tensors(BEFORE, "resumed_raw.safetensors")
    began = read_tensors(BEFORE / "run" / "checkpoints" / "step-00000006", RAW)
    assert now.keys() == before.keys() == began.keys()
    ended, known, start = (
        torch.cat([each[name].double().flatten() for name in sorted(each)]) for each in (now, before, began)
    )
    assert float((ended - known).norm() / (known - start).norm()) < 0.05
    expected = json.loads((BEFORE / "resumed.json").read_text("utf-8"))
    if is_same_machine(expected["machine"]):
        found = {
            name: hashlib.sha256((checkpoint / name).read_bytes()).hexdigest() for name in expected["sha256"]
        }
        assert found == expected["sha256"]

"""What a trained autoencoder is worth: on which images it is measured, what is refused, and what is kept."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.evaluation import codes
from diffusion_studio.engine.evaluation.codes import CodeEvaluated, evaluate_code, read_code_evaluation
from diffusion_studio.engine.evaluation.evaluation import EvaluationSpec
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig
from diffusion_studio.engine.runs.run import Run
from support.codes import CPU, code_config, trained_in
from support.tiny import only, write_pictures

BOUND = EvaluationSpec(quality=False, images=6)
QUALITY = EvaluationSpec(elbo=False, samples=64)


def no_json(token: str) -> None:
    raise AssertionError(f"{token} is no JSON")


def evaluated(path: Path, spec: EvaluationSpec) -> CodeEvaluated:
    (done,) = only(evaluate_code(path, spec, CPU, Control()), CodeEvaluated)
    return done


def kept(path: Path) -> dict[str, Any]:
    text = (path / "evaluation.json").read_text(encoding="utf-8")
    return json.loads(text, parse_constant=no_json)


@pytest.fixture
def trained(tmp_path):
    def trained(kind: str, folder: Path) -> Path:
        data = {"data__source": str(folder), "data__resolution": 8, "training__steps": 2}
        trained_in(tmp_path / kind, code_config(kind, **data))
        return tmp_path / kind

    return trained


def test_that_it_is_measured_on_the_images_of_a_folder_that_is_kept_apart(trained, tmp_path):
    write_pictures(tmp_path / "set" / "train")
    write_pictures(tmp_path / "set" / "test", each=1, seed=2)
    shutil.copy(tmp_path / "set/train/ape/0.png", tmp_path / "set/test/ape/9.png")
    done = evaluated(trained("vae", tmp_path / "set"), BOUND)
    assert done.evaluation.held_out
    assert done.evaluation.bound.images == 4
    assert done.notes == ("1 of the 4 images that are kept apart are trained on as well.",)


def test_that_images_that_were_trained_on_are_named_as_such(trained, tmp_path):
    done = evaluated(trained("vae", write_pictures(tmp_path / "zoo")), BOUND)
    assert not done.evaluation.held_out
    assert "keeps no images apart" in done.notes[0]


def test_that_what_was_measured_before_of_the_same_step_stays(trained, tmp_path):
    run = trained("vae", write_pictures(tmp_path / "zoo"))
    bound = evaluated(run, BOUND).evaluation
    evaluated(run, QUALITY)
    found = kept(run)
    assert found["bound"]["total"] == bound.bound.total
    assert found["yardsticks"]["histogram"] == bound.yardsticks.histogram
    assert found["quality"]["count"] == 64
    (run / "evaluation.json").write_text(json.dumps(found | {"step": 1}))
    evaluated(run, QUALITY)
    assert kept(run)["bound"] is None  # it was of another step


def test_that_figures_that_are_no_numbers_are_null_and_come_back(trained, tmp_path):
    run = trained("ae", write_pictures(tmp_path / "zoo"))
    evaluated(run, BOUND)
    assert kept(run)["bound"]["total"] is None
    evaluated(run, QUALITY)
    found = read_code_evaluation(Run.open_as(run, AutoencoderConfig))
    assert math.isnan(found["bound"]["total"])
    assert found["bound"]["squared_error"] == kept(run)["bound"]["squared_error"] > 0


@pytest.mark.parametrize(
    ("each", "samples", "words"),
    [(4, 63, "63 samples say too little of the quality"), (1, 64, "has 3 images to compare samples with")],
)
def test_that_too_few_are_refused_before_anything_is_measured(
    each, samples, words, trained, tmp_path, monkeypatch
):
    run = trained("vae", write_pictures(tmp_path / "zoo", each=each))
    monkeypatch.setattr(codes, "measure", lambda *args: pytest.fail("it was measured"))
    with pytest.raises(Refused, match=words):
        evaluated(run, EvaluationSpec(samples=samples))

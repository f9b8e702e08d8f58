"""What a run keeps apart belongs to names: nothing that was trained on ever counts as held out."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from diffusion_studio.data.imageset import digests
from diffusion_studio.engine.chains.source import class_names_of
from diffusion_studio.engine.evaluation.evaluation import Evaluated, EvaluationSpec, evaluate
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.run import Run, RunError
from diffusion_studio.engine.training.run_data import kept_apart, load_run_data, split
from support.tiny import CPU, begin, finish, only, resume, tiny_config, write_pictures

BOUND = EvaluationSpec(quality=False, images=4, draws=1)


@pytest.fixture
def zoo(tmp_path):
    return write_pictures(tmp_path / "zoo", each=8)


@pytest.fixture
def run(zoo, tmp_path):
    session = begin(tmp_path / "run", tiny_config(zoo, held_out=0.25))
    finish(session)
    return Run.open(tmp_path / "run")


def names(run: Run) -> tuple[set[str], set[str]]:
    data = load_run_data(run)
    files = np.array(data.images.files)
    return set(files[data.trained]), set(files[data.apart])


def forget_the_split(run: Run) -> None:
    """The manifest as version 0.1.0 wrote it."""
    path = run.path / "data.json"
    content = json.loads(path.read_text("utf-8"))
    for entry in content["images"]:
        entry.pop("apart", None)
    path.write_text(json.dumps(content), "utf-8")


def test_that_the_split_is_written_down(run, zoo):
    data = load_run_data(run)
    trained, apart = split(24, 0.25, run.config.seed)
    assert data.trained.tolist() == trained.tolist()
    assert data.apart.tolist() == apart.tolist()
    assert data.notes == ()
    assert sum(entry.get("apart", False) for entry in run.manifest["images"]) == 6


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("change", ["one deleted", "many added", "all held out deleted"])
def test_that_no_image_changes_sides(old, change, run, zoo):
    if old:
        forget_the_split(run)
    trained, apart = names(Run.open(run.path))
    if change == "one deleted":
        (zoo / "ape" / "0.png").unlink()
    elif change == "many added":
        write_pictures(zoo, each=40, seed=5)
    else:
        for name in apart:
            (zoo / name).unlink()
    now_trained, now_apart = names(Run.open(run.path))
    assert now_apart <= apart
    assert not now_trained & apart
    assert trained & set(load_run_data(run).images.files) <= now_trained


def test_that_a_training_that_goes_on_keeps_its_split(run, zoo):
    (zoo / "ape" / "0.png").unlink()
    session = resume(run.path)
    trained, _ = names(run)
    assert session.batches.count == len(trained)
    assert session.notes[0] == f"The images in {zoo} changed since this run began (1 gone)."


def test_that_classes_in_another_order_are_put_in_that_of_the_run(run, zoo):
    for path in (run.path / "data.json", run.newest_checkpoint()[0] / "studio.json"):
        content = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps(content | {"class_names": ["cat", "ape", "bee"]}), "utf-8")
    data = load_run_data(Run.open(run.path))
    assert data.images.class_names == ("cat", "ape", "bee")
    assert all(data.images.label_name(i) == file.split("/")[0] for i, file in enumerate(data.images.files))


@pytest.mark.parametrize("kept", [True, False])
def test_that_classes_are_those_of_the_network_whatever_became_of_the_list(kept, run, zoo):
    path = run.path / "data.json"
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(content | {"class_names": ["cat", "bee", "ape"]}), "utf-8")
    if not kept:
        path.unlink()
        assert "is lost" in load_run_data(Run.open(run.path)).notes[0]
    assert Run.open(run.path).class_names == class_names_of(str(run.path)) == ("ape", "bee", "cat")
    write_pictures(zoo, ("aal",))
    with pytest.raises(RunError, match="was trained on the classes ape, bee, cat, but"):
        load_run_data(Run.open(run.path))


@pytest.mark.parametrize("change", ["deleted", "inserted"])
def test_that_an_evaluation_refuses_other_classes(change, run, zoo):
    if change == "deleted":
        (zoo / "bee").rename(zoo.parent / "bee")
    else:
        write_pictures(zoo, ("aal",))
    with pytest.raises(RunError, match="was trained on the classes ape, bee, cat, but"):
        list(evaluate(run.path, BOUND, CPU, Control()))


def test_that_an_evaluation_says_that_images_changed(run, zoo):
    write_pictures(zoo, each=1, seed=9)
    (evaluated,) = only(evaluate(run.path, BOUND, CPU, Control()), Evaluated)
    assert evaluated.notes == (f"The images in {zoo} changed since this run began (pixels or labels).",)
    assert evaluated.evaluation.held_out


def test_that_the_splits_of_a_folder_are_what_is_measured(tmp_path):
    root = tmp_path / "set"
    write_pictures(root / "train", each=3)
    write_pictures(root / "test", each=2, seed=4)
    session = begin(tmp_path / "run", tiny_config(root))
    assert session.images.count == 9
    assert session.notes[0].startswith("The folders train and test are splits, not classes")
    finish(session)
    (evaluated,) = only(evaluate(tmp_path / "run", BOUND, CPU, Control()), Evaluated)
    assert evaluated.evaluation.held_out
    assert evaluated.evaluation.elbo is not None
    assert evaluated.evaluation.elbo.images == 4


def test_that_nothing_is_trained_on_when_all_is_gone(run, zoo):
    trained, _ = names(run)
    for name in trained:
        (zoo / name).unlink()
    with pytest.raises(RunError, match="None of the images that run trains on"):
        load_run_data(run)


def test_that_what_is_trained_on_is_not_kept_apart_under_another_name(tmp_path):
    folder = write_pictures(tmp_path / "twins", each=8)
    for path in sorted(folder.rglob("*.png")):
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    images = begin(tmp_path / "run", tiny_config(folder, held_out=0.5)).images
    trained, apart = kept_apart(images, 0.5, 0)
    assert sorted([*trained, *apart]) == list(range(images.count))
    assert 0 < len(apart) < images.count // 2
    assert not set(digests(images.images[trained])) & set(digests(images.images[apart]))


def test_that_held_out_images_that_are_trained_on_are_told_of(tmp_path):
    folder = tmp_path / "splits"
    write_pictures(folder / "train", each=4)
    write_pictures(folder / "test", each=4, seed=2)
    shutil.copy(folder / "train" / "ape" / "0.png", folder / "test" / "ape" / "9.png")
    finish(begin(tmp_path / "run", tiny_config(folder, steps=1, T=4)))
    spec = EvaluationSpec(images=2, quality=False)
    (done,) = only(evaluate(tmp_path / "run", spec, CPU, Control()), Evaluated)
    assert done.notes == ("1 of the 13 images that are kept apart are trained on as well.",)

"""A run whose images were moved goes on with them, and with no others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.evaluation.evaluation import Evaluated, EvaluationSpec, evaluate
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.run import Run, RunError
from diffusion_studio.engine.training.moved import images_gone, source_of, with_images_at
from diffusion_studio.engine.training.run_data import load_run_data
from support.tiny import CPU, begin, differing, everything, finish, only, resume, tiny_config, write_pictures


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "zoo")


@pytest.fixture
def run(zoo: Path, tmp_path: Path) -> Path:
    finish(begin(tmp_path / "run", tiny_config(zoo, steps=2, held_out=0.25)))
    return tmp_path / "run"


def at(run: Path, folder: Path) -> Run:
    return with_images_at(Run.open(run), str(folder))


def test_that_a_run_goes_on_bit_for_bit_with_images_that_were_moved(run: Path, zoo: Path) -> None:
    far = zoo.rename(zoo.with_name("far"))
    with pytest.raises(Refused, match=r"There is no folder .*zoo\. If the images of run were moved, --data"):
        resume(run)
    moved = resume(run, at(run, far).config)
    (apart,) = {tuple(load_run_data(at(run, far)).apart)}
    finish(moved)
    assert Run.open(run).config.data.source == str(far)
    assert tuple(load_run_data(Run.open(run)).apart) == apart
    far.rename(zoo)
    assert not differing(everything(resume(run, at(run, zoo).config)), everything(moved))


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_that_a_link_and_another_spelling_are_the_same_place(run: Path, zoo: Path) -> None:
    link = zoo.with_name("link")
    link.symlink_to(zoo, target_is_directory=True)
    for name in (link, zoo / ".." / "zoo", Path(f"{zoo}/")):
        assert at(run, name) == Run.open(run)
    assert with_images_at(Run.open(run), None) == Run.open(run)


def test_that_an_evaluation_looks_where_it_is_told_and_writes_nothing_of_it(run: Path, zoo: Path) -> None:
    far = zoo.rename(zoo.with_name("far"))
    before = (run / "config.json").read_bytes()
    spec = EvaluationSpec(quality=False, images=2, data=str(far))
    (done,) = only(evaluate(run, spec, CPU, Control()), Evaluated)
    assert done.evaluation.held_out
    assert done.notes == ()
    assert (run / "config.json").read_bytes() == before


def swapped(folder: Path) -> None:
    one, other = folder / "ape" / "0.png", folder / "bee" / "0.png"
    held = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(held)


def relabelled(folder: Path) -> None:
    rows = [f"{path.relative_to(folder).as_posix()},cat" for path in sorted(folder.rglob("*.png"))]
    (folder / "metadata.csv").write_text("\n".join(["file_name,label", *rows]))


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "one is gone": (lambda folder: (folder / "ape" / "0.png").unlink(), "1 of 12 are not there, first ape/0"),
    "a class is gone": (lambda folder: shutil.rmtree(folder / "ape"), "4 of 12 are not there"),
    "two have changed places": (swapped, "their pixels are others"),
    "other classes": (relabelled, "8 of 12 have another class, first ape/0.png"),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_that_other_images_are_refused(kind: str, run: Path, zoo: Path) -> None:
    far = zoo.rename(zoo.with_name("far"))
    change, words = OTHERS[kind]
    change(far)
    with pytest.raises(RunError, match=rf"far does not hold the images that run was trained on: .*{words}"):
        load_run_data(at(run, far))


def test_that_images_that_came_since_are_no_hindrance(run: Path, zoo: Path) -> None:
    far = zoo.rename(zoo.with_name("far"))
    shutil.copy(far / "ape" / "0.png", far / "ape" / "00.png")
    assert load_run_data(at(run, far)).notes == (
        f"The images in {far} changed since this run began (1 added).",
    )


def test_that_nothing_is_taken_for_the_same_without_a_manifest(run: Path, zoo: Path) -> None:
    far = zoo.rename(zoo.with_name("far"))
    (run / "data.json").write_text("{")
    with pytest.raises(RunError, match=r"The data.json of run cannot be read, so whether .* cannot be"):
        load_run_data(at(run, far))


def test_that_the_digits_are_no_folder(run: Path, zoo: Path) -> None:
    assert source_of("digits") == "digits"
    assert source_of("./digits") == str(Path("digits").absolute())
    with pytest.raises(RunError, match="digits does not hold the images"):
        load_run_data(with_images_at(Run.open(run), "digits"))


@pytest.mark.parametrize("source", ["x" * 5000, "a\0b"])
def test_that_images_at_no_name_of_a_folder_are_gone(source: str, run: Path) -> None:
    known = Run.open(run)
    data = known.config.data.model_copy(update={"source": source})
    odd = Run(run, known.config.model_copy(update={"data": data}))
    assert images_gone(odd)
    with pytest.raises(Refused, match="--data on the command line"):
        load_run_data(odd)

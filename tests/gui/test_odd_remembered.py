"""Whatever lies in the folder of the remembered run, and in the memory: the window opens, and says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from diffusion_studio.engine.chains import chain_tree
from diffusion_studio.engine.chains.chain_tree import ChainTree, save_tree
from diffusion_studio.engine.files import places
from diffusion_studio.engine.runs.run import Run
from support import hostile
from support.odd_metrics import ODD_METRICS
from support.tiny import begin, finish, tiny_config

FILES = ("metrics.sqlite", "chains.json", "evaluation.json", "data.json", "samples/step-00000002.png")


def memory_file() -> Path:
    path = places.settings_dir() / "window.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def remember(run: Path) -> None:
    """The window stood at the Train page with this run on show, and its chains on the Sample page."""
    spec = {"steps": 3, "count": 2}
    values = {"run": str(run), "page": "train", "sample": {"source": str(run), "spec": spec}}
    memory_file().write_text(json.dumps(values))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("odd") / "mine"
    finish(begin(path, tiny_config(steps=2, preview_count=4)))
    save_tree(path, ChainTree())
    (path / "evaluation.json").write_text(json.dumps({"step": 2, "elbo": {"bits": "many"}, "quality": 7}))
    return path


@pytest.fixture
def run(trained: Path) -> Path:
    return shutil.copytree(trained, places.runs_dir() / "mine")


@pytest.mark.parametrize("kind", ["steps beyond all", "an endless view", *hostile.KINDS[:4]])
def test_that_odd_files_of_the_remembered_run_cost_nothing_but_themselves(kind, open_app, run):
    if kind in hostile.KINDS:
        for name in FILES:
            hostile.put(run / name, kind)
    else:
        ODD_METRICS[kind](run / "metrics.sqlite")
        Image.new("L", (1, 1)).save(run / "samples" / "step-00000003.png")
    remember(run)
    studio = open_app().studio
    assert studio.training.state.run == run
    assert studio.sampling.state.chains.facts.model == "mine"
    assert "metrics.sqlite can be read" in studio.train_page.banner.text
    assert not studio.train_page.banner.isHidden()
    for key in studio.pages:
        studio.show_page(key)
    studio.shutdown()
    assert (run / chain_tree.ASIDE).exists() == (kind in hostile.KINDS)


@pytest.mark.parametrize("content", ["{", json.dumps({"config": 3, "schema": 1})])
def test_that_a_remembered_run_that_cannot_be_opened_is_told_of(content, open_app, run):
    (run / "config.json").write_text(content)
    remember(run)
    studio = open_app().studio
    assert studio.training.state.run is None
    assert "config.json" in studio.train_page.banner.text
    assert not studio.train_page.banner.isHidden()
    assert studio.sampling.state.chains.facts.model == "Digits"


@pytest.mark.parametrize("kind", ["{", "[]", *hostile.KINDS[:2]])
def test_that_a_memory_that_cannot_be_read_is_told_of(kind, open_app, monkeypatch):
    monkeypatch.setattr("diffusion_studio.viewmodels.remembered.DELAY", 10**9)  # else it cannot be written
    path = memory_file()
    if kind in hostile.KINDS:
        hostile.put(path, kind)
    else:
        path.write_text(kind)
    app = open_app()
    assert app.shell.banner.isVisible()
    assert app.shell.banner.text.startswith("What the window remembered")


@pytest.mark.parametrize(
    "source", ["", "\0", "~nobody/x", "x" * 5000, "/proc/self/mem", "/dev/zero", "a\udcffb"]
)
def test_that_an_odd_remembered_data_folder_leaves_a_window_that_works(source, open_app, run):
    values = {"config": {"data": {"source": source}}, "recent": [source, 3], "page": "train"}
    memory_file().write_text(json.dumps(values | {"sample": {"source": source, "spec": {}}}))
    studio = open_app().studio
    assert studio.sampling.state.chains.facts.model == "Digits"
    assert studio.train_page.banner.isVisible() or studio.training.config.data.source == "digits"
    assert Run.open(run).step == 2

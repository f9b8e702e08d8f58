"""`export` writes a model folder and says where."""

from __future__ import annotations

import shutil

import numpy as np

from diffusion_studio.engine.files.pictures import save_grid
from support.commands import complaint


def test_that_a_run_is_exported_once(said, run, tmp_path):
    code, out, errors = said("export", run, tmp_path / "model")
    assert (code, out.strip(), errors) == (0, str(tmp_path / "model"), "")
    code, _, errors = said("export", run, tmp_path / "model")
    assert code == 1 and "not an empty folder" in complaint(errors)
    assert said("sample", tmp_path / "model", "--steps", "3", "--out", tmp_path / "x.png")[0] == 0


def test_that_a_film_of_a_training_is_written_and_replaced_only_when_asked(said, run, tmp_path):
    film, drawn = tmp_path / "film.gif", shutil.copytree(run, tmp_path / "run")
    for step in (1, 2):
        images = np.full((4, 8, 8, 1), 40 * step, np.uint8)
        save_grid(drawn / "samples" / f"step-{step:08d}.png", images, {})
    film.touch()
    code, _, errors = said("export", drawn, film)
    assert code == 2 and "--force replaces it" in complaint(errors)
    code, out, _ = said("export", drawn, film, "--force")
    assert (code, out.strip()) == (0, str(film)) and film.stat().st_size > 0


def test_that_a_name_of_a_file_is_no_folder(said, run, tmp_path):
    for name in ("model.safetensors", "model.CKPT"):
        code, _, errors = said("export", run, tmp_path / name)
        assert code == 2 and "a model is written as a folder" in complaint(errors)
        assert not (tmp_path / name).exists()

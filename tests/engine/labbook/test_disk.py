"""What a run takes on the disk, and what of it can go."""

from __future__ import annotations

import shutil

import pytest

from diffusion_studio.engine.labbook.disk import NEWEST, OLDER, disk_use, drop_older, free_room
from diffusion_studio.engine.runs.creation import create_run
from diffusion_studio.engine.runs.run import Run, RunError
from support.tiny import begin, finish, tiny_config


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with two checkpoints."""
    path = tmp_path_factory.mktemp("disk") / "run"
    finish(begin(path, tiny_config(steps=2, checkpoint_every=1, preview_count=0)))
    return path


def test_that_the_parts_are_all_that_it_takes(trained):
    found = disk_use(trained)
    assert sum(found.values()) == Run.open(trained).size
    assert found[OLDER] > 0 and found[NEWEST] > 0 and found["metrics"] > 0
    assert found["classifier"] == found["code"] == 0
    assert free_room(trained) > 0 and free_room(trained / "nowhere") == 0


def test_that_older_checkpoints_go_and_the_newest_stays_sound(trained, tmp_path):
    trained = shutil.copytree(trained, tmp_path / "copy")
    with Run.open(trained).lock(), pytest.raises(RunError, match="is being trained"):
        drop_older(trained)
    older = disk_use(trained)[OLDER]
    assert drop_older(trained) == older
    assert disk_use(trained)[OLDER] == 0
    assert Run.open(trained).newest_checkpoint()[0].name == "step-00000002"
    assert drop_older(trained) == 0


def test_that_of_a_run_without_a_sound_checkpoint_none_is_deleted(tmp_path):
    run = create_run(tmp_path / "run", tiny_config(), {})
    (run.checkpoint_folder / "step-00000001").mkdir()
    with pytest.raises(RunError, match="no usable checkpoint"):
        drop_older(run.path)
    assert (run.checkpoint_folder / "step-00000001").exists()

"""One walk through everything, as a person takes it."""

from __future__ import annotations

from PIL import Image
from PySide6.QtCore import QPoint, Qt

from diffusion_studio.core.samplers import DDIM
from diffusion_studio.engine.runs.run import Run
from support.image_folders import add_broken_files, build_mixed_folder
from support.window import drop, settle

TINY = {
    "data.resolution": 8, "model.width": 8, "model.multipliers": (1, 2), "model.layers": 1,
    "model.attention": 0, "diffusion.steps": 100, "training.batch_size": 8,
}  # fmt: skip


def test_that_a_folder_becomes_a_model_whose_chain_is_walked_and_everything_is_there_again(
    qtbot, open_app, tmp_path
):
    sound = build_mixed_folder(tmp_path / "pictures", 30)
    broken = add_broken_files(tmp_path / "pictures", 8)
    app = open_app()
    studio = app.studio
    training, sampling = studio.training, studio.sampling

    drop(app.shell, tmp_path / "pictures")
    settle(qtbot, app)
    assert app.shell.current_page is studio.train_page
    assert training.state.data.count == len(sound)
    assert len(training.state.data.skipped) == len(broken)
    for path, value in TINY.items():
        training.edit(path, value)
    training.settle()
    settle(qtbot, app)
    assert training.state.data.size.startswith("8×8")

    qtbot.mouseClick(studio.train_page.progress._start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: training.state.step >= 3)
    qtbot.mouseClick(studio.train_page.progress._pause, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: training.state.phase == "paused")
    run = training.state.run

    qtbot.mouseClick(studio.train_page.sample_now, Qt.MouseButton.LeftButton)
    assert app.shell.current_page is studio.sample_page
    settle(qtbot, app)
    assert (sampling.state.chains.facts.model, sampling.state.chains.facts.model_step) == (
        run.name,
        training.state.saved_step,
    )
    assert sampling.state.chains.facts.class_names == training.state.data.class_names
    timeline = studio.sample_page.transport.timeline
    middle = QPoint(round(timeline.plan.x_of(20)), timeline.height() // 2)
    qtbot.mouseClick(timeline, Qt.MouseButton.LeftButton, pos=middle)
    qtbot.keyClick(timeline, Qt.Key.Key_Right)
    qtbot.keyClick(studio.sample_page, Qt.Key.Key_T)
    assert (sampling.state.player.position, sampling.state.pictures.view) == (21, "x_t")
    sampling.tree.edit("sampler.eta", 0.5)
    sampling.tree.settle()
    settle(qtbot, app)
    assert sampling.state.player.position == 21
    sampling.files.export(tmp_path / "chain.gif")
    qtbot.waitUntil((tmp_path / "chain.gif").exists)
    with Image.open(tmp_path / "chain.gif") as image:
        assert image.n_frames > 10
    app.close()
    assert Run.open(run).step == training.state.saved_step
    with Run.open(run).lock():
        pass

    studio = open_app().studio
    assert studio.shell.current_page is studio.sample_page
    assert studio.sampling.state.chains.facts.model == run.name
    assert studio.sampling.tree.parameters.spec.sampler == DDIM(eta=0.5)
    assert (studio.sampling.state.player.position, studio.sampling.state.pictures.view) == (21, "x_t")
    assert studio.training.state.run == run
    assert studio.training.state.data.count == len(sound)
    assert len(studio.training.record.losses.values) == Run.open(run).step

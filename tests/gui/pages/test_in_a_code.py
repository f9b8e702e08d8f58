"""Diffusion in a code in the window: chosen on the Train page, seen in Runs, walked through on Sample."""

from __future__ import annotations

from diffusion_studio.engine.files import places
from diffusion_studio.pages.train.panel import NO_CODE
from support.coded import autoencoder_of
from support.tiny import write_pictures
from support.window import settle

TINY = {
    "data.resolution": 16, "model.width": 8, "model.multipliers": (1, 2), "model.layers": 1,
    "model.attention": 0, "diffusion.steps": 50, "training.batch_size": 8, "training.steps": 3,
    "training.seconds": 0.0, "training.preview_count": 4, "training.preview_share": 0.5,
}  # fmt: skip


def test_that_a_code_is_chosen_learned_in_and_walked_through(qtbot, open_app, tmp_path):
    zoo = write_pictures(tmp_path / "zoo", each=8)
    app = open_app(zoo)
    studio, model = app.studio, app.studio.training
    studio.show_page("train")
    form = studio.train_page.panel.form
    assert form.field("model.code")._sentence.text() == NO_CODE
    code = autoencoder_of(zoo, places.runs_dir() / "autoencoder")
    studio.show_page("runs")
    studio.show_page("train")  # whoever comes back finds what was trained meanwhile
    assert form.field("model.code")._sentence.text() == ""
    for path, value in {**TINY, "model.code": str(code)}.items():
        model.edit(path, value)
    model.settle()
    settle(qtbot, app)
    model.start()
    qtbot.waitUntil(lambda: model.state.phase == "idle")
    assert model.state.step == 3, model.state.notice
    assert studio.train_page.samples.grid.count == 4
    run = model.state.run
    studio.show_page("runs")
    listed = studio.pages["runs"].model
    qtbot.waitUntil(lambda: any(each.path == run for each in listed.state.runs))
    kinds = {each.path.name: each.in_a_code for each in listed.state.runs}
    assert kinds == {"autoencoder": False, run.name: True}
    sampling = studio.sampling
    studio.show_page("sample")
    sampling.choices.refresh()
    sampling.choices.choose(str(run))
    qtbot.waitUntil(lambda: sampling.state.chains.facts.code == "autoencoder")
    settle(qtbot, app)
    record = sampling.chains.record
    qtbot.waitUntil(lambda: record.knows("x0_hat", sampling.player.state.position))
    assert studio.sample_page.pictures.grid.count == record.chain.spec.count
    assert not studio.sample_page.panel.form.field("clip.kind").control.isEnabled()

"""Pictures of every page, made by the app itself: at the sizes of common screens, light and dark."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from PySide6.QtWidgets import QApplication

from diffusion_studio.album import SIZES, Album, pause, size_of, wait
from diffusion_studio.cli.options import plain_app

if TYPE_CHECKING:
    from diffusion_studio.app import App
    from diffusion_studio.pages.page import Page
    from diffusion_studio.studio import Studio
    from diffusion_studio.viewmodels.plane.model import PlaneViewModel

ANIMATED_SIZE = (1280, 800)
SCALES = (100, 150, 200)  # %
CLASSIFIER_SECONDS = 15.0


class PageName(StrEnum):
    """The pages that pictures are made of, and what opens over them."""

    TRAIN = "train"
    SAMPLE = "sample"
    PLANE = "plane"
    AUTOENCODER = "autoencoder"
    THEORY = "theory"
    RUNS = "runs"
    DIALOGS = "dialogs"


app = plain_app()


@app.command()
def screenshots(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the pictures go.")],
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, help="How long the shown model is trained.")
    ] = 30,
    pages: Annotated[
        list[PageName] | None, typer.Option("--page", help="Only this page; may be given several times.")
    ] = None,
    sizes: Annotated[
        list[str] | None,
        typer.Option("--size", metavar="WxH", help="Of the screen in its own pixels; several times."),
    ] = None,
    scale: Annotated[
        int, typer.Option("--scale", min=100, max=200, help="Percent by which the screen is scaled.")
    ] = 100,
) -> None:
    """Save pictures of every page, after training a small model on the digits."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ["QT_SCALE_FACTOR"] = str(scale / 100)
    album = Album(folder, tuple(map(size_of, sizes or SIZES)), scale)
    with tempfile.TemporaryDirectory(prefix="diffusion-studio-") as home:
        os.environ["DIFFUSION_STUDIO_HOME"] = home
        run = _train(seconds)
        folder.mkdir(parents=True, exist_ok=True)
        _take(album, run, pages or list(PageName))


def _train(seconds: float) -> Path:
    """A short training on the digits, through the engine."""
    from diffusion_studio.engine.files.places import runs_dir
    from diffusion_studio.engine.jobs.control import Control
    from diffusion_studio.engine.machine.devices import choose_device
    from diffusion_studio.engine.runs.config import RunConfig
    from diffusion_studio.engine.runs.creation import NewRun
    from diffusion_studio.engine.training.presets import PRESETS
    from diffusion_studio.engine.training.session import new_session
    from diffusion_studio.engine.training.trainer import train

    config = PRESETS[0].applied_to(RunConfig())
    config = config.model_copy(update={"training": config.training.model_copy(update={"seconds": seconds})})
    session = new_session(NewRun(runs_dir(), "digits"), config, choose_device())
    for _ in train(session, Control()):
        pass
    return session.run.path


def _take(album: Album, run: Path, pages: Collection[PageName]) -> None:
    from diffusion_studio.app import App
    from diffusion_studio.widgets.look.language import translate_qt
    from diffusion_studio.widgets.look.theme import theme

    application = QApplication.instance() or QApplication(["diffusion-studio"])
    translate_qt(application)  # as the program does: "Close" and the names of keys are Qt's words
    app = App()
    app.show()
    wait(lambda: app.studio is not None)
    for name, shoot in _PAGES.items():
        if name in pages:
            shoot(app, album, run)
    app.close()
    theme().set_mode("system")
    application.processEvents()


def _shoot_train(app: App, album: Album, run: Path) -> None:
    studio = _studio(app)
    studio.show_page("train")
    wait(lambda: studio.training.state.data is not None)
    album.take(app.shell, "train-empty")
    studio.training.show_run(run)
    album.take(app.shell, "train")
    studio.train_page.views.look_at("images")
    album.take(app.shell, "train-images")
    studio.train_page.views.look_at("training")


def _shoot_sample(app: App, album: Album, run: Path) -> None:
    """The Sample page as it is found, with a trained model, and taken apart."""
    studio = _studio(app)
    studio.show_page("sample")
    wait(lambda: studio.sampling.state.chains.complete and not studio.sampling.state.chains.busy)
    album.take(app.shell, "sample-first-start")
    studio.sampling.choices.refresh()
    studio.sampling.choices.choose(str(run))
    wait(lambda: studio.sampling.state.chains.facts.model == run.name)
    wait(lambda: not studio.sampling.state.chains.busy)
    studio.sampling.player.seek(len(studio.sampling.state.chains.facts.times) * 2 // 5)
    album.take(app.shell, "sample")
    _shoot_laboratory(app, album)


def _shoot_theory(app: App, album: Album, run: Path) -> None:
    from diffusion_studio.pages.theory.page import PARTS

    studio = _studio(app)
    studio.show_page("theory")
    for part, *_ in PARTS:
        studio.theory_page.show_part(part)
        wait(lambda: studio.theory_page.is_full)
        album.take(app.shell, f"theory-{part}")
    studio.theory_page.show_part("elbo")
    studio.theory.choose_run(str(run))
    studio.theory.measure()
    wait(lambda: studio.theory.state.phase == "idle")
    studio.theory.dismiss_notice()  # it lies over the sums
    for view in ("terms", "steps"):
        studio.theory_page.bound.show_view(view)
        album.take(app.shell, f"theory-bound-{view}")


def _shoot_runs(app: App, album: Album, run: Path) -> None:
    from diffusion_studio.engine.files.places import runs_dir
    from diffusion_studio.engine.runs.run import list_runs

    studio = _studio(app)
    studio.show_page("runs")
    wait(lambda: len(studio.runs.state.runs) == len(list_runs(runs_dir())))
    album.take(app.shell, "runs")
    studio.runs.choose([found.path for found in studio.runs.state.runs][:4])
    wait(lambda: not studio.runs.comparing.busy)
    album.take(app.shell, "runs-compared")


def _shoot_dialogs(app: App, album: Album, run: Path) -> None:
    """What opens over the pages: keys, settings, queue, trash, and the palette."""
    studio = _studio(app)

    def ask(name: str) -> None:
        studio.commands.palette.leave()  # which is no dialog: asked for again it would go
        app.shell.actions_of_window.do(name)

    for page, names in _DIALOGS.items():
        studio.show_page(page)
        for name in names:
            album.take(app.shell, f"dialog-{name}", partial(ask, name))
    studio.commands.palette.leave()


_DIALOGS = {"runs": ("show-trash", "show-queue"), "train": ("settings", "about", "log", "keys", "find")}
"""The actions that open them, by the page on which they are asked for."""


def _shoot_laboratory(app: App, album: Album) -> None:
    """The Sample page taken apart: branches, A/B, σ by hand, the strip, memory, an image inverted."""
    studio = _studio(app)
    model, page = studio.sampling, studio.sample_page

    def shoot(name: str) -> None:
        model.tree.settle()
        wait(lambda: not model.state.chains.busy)
        album.take(app.shell, f"sample-{name}")

    model.branch()
    model.tree.edit("sampler.eta", 1.0)
    model.tree.settle()
    wait(lambda: not model.state.chains.busy)
    model.tree.show(0)
    wait(lambda: not model.state.chains.busy)
    model.branch()
    model.tree.edit("label", 3)
    model.player.seek(len(model.state.chains.facts.times) * 4 // 5)
    shoot("branches")
    model.tree.show(1)
    model.tree.compare(0)
    shoot("compared")
    model.tree.compare(-1)
    model.tree.show(0)
    wait(lambda: not model.state.chains.busy)
    model.tree.edit("sampler.eta", 0.6)
    model.tree.edit("sampler.kind", "sigma")
    page.side.show_tab("by hand")
    shoot("sigma")
    model.pictures.set_layout("strip")
    page.side.show_tab("nearest")
    pause(2000)
    shoot("strip")
    model.pictures.set_layout("guided")
    model.tree.edit("sampler.kind", "ddim")
    model.tree.edit("guidance", 3.0)
    page.side.show_tab("guidance")
    wait(lambda: model.beside.trade.state.strip is not None)
    page.side.trade.measure_requested.emit()
    wait(lambda: len(model.beside.trade.state.trades) > 0 and not model.beside.trade.state.measuring)
    shoot("guidance")
    model.pictures.set_layout("grid")
    page.side.show_tab("classifier")
    page.side.classifier.train_requested.emit(CLASSIFIER_SECONDS)
    wait(lambda: model.beside.classifier.state.busy)
    wait(lambda: model.chains.record is not None and model.chains.record.chain.source.classifier is not None)
    model.tree.edit("guide.kind", "classifier")
    shoot("classifier")
    model.tree.edit("guide.kind", "free")
    page.side.show_tab("curves")
    model.tree.edit("guidance", 1.0)
    model.files.open_images(_two_digits(album.folder))
    model.player.seek(len(model.state.chains.facts.times))
    wait(lambda: not model.state.chains.busy)
    wait(lambda: len(model.beside.reconstruction.errors) >= 5)
    shoot("inverted")


def _two_digits(folder: Path) -> list[Path]:
    """Two of the built-in digits as files."""
    from diffusion_studio.data.load import load
    from diffusion_studio.data.spec import DIGITS, DataSpec
    from diffusion_studio.engine.files.pictures import save_grid
    from diffusion_studio.engine.files.places import cache_dir

    images = load(DataSpec(source=DIGITS), cache_dir()).images.transpose(0, 2, 3, 1)
    paths = [folder / f"digit-{k}.png" for k in (3, 8)]
    for path, k in zip(paths, (3, 8), strict=True):
        save_grid(path, images[k : k + 1], {})
    return paths


# name, card of the tour, its action, state to play to
_PLANE = (
    ("plane", 0, 0, 300),  # figure 6 of Luo, from above
    ("plane-modes", 1, 0, 600),  # three failures of plain Langevin, and their cures
    ("plane-annealed", 1, 1, 300),
    ("plane-one-level", 2, 0, 300),
    ("plane-one-level-chain", 2, 1, 300),
    ("plane-all-levels", 2, 2, 300),
    ("plane-all-levels-chain", 2, 3, 300),
    ("plane-thin", 3, 0, 60),
    ("plane-thin-noised", 3, 1, 300),
    ("plane-thin-annealed", 3, 2, 300),
)
_ANIMATED = "plane"


def _shoot_plane(app: App, album: Album, run: Path) -> None:
    """The 2-D page at rest: figure 6 of Luo, the three failures with their cures, guidance; one animation."""
    studio = _studio(app)
    model, page = studio.plane, studio.plane_page
    studio.show_page("plane")
    for name, card, action, state in _PLANE:
        _try(page, card, action)
        wait(lambda: not model.state.learning.running)
        model.restart()
        model.player.set_loop(False)
        model.player.play()
        wait(partial(_has_reached, model, state))
        model.player.stop()
        model.player.seek(state)
        wait(lambda: not model.player.moving and not model.meter.busy)
        album.take(app.shell, name)
        if name == "plane":
            page.bar.relief.setChecked(True)
            album.take(app.shell, "plane-landscape")
            page.bar.relief.setChecked(False)
        if name == _ANIMATED:
            app.shell.resize(*ANIMATED_SIZE)
            path = album.folder / f"{name}.gif"
            page.exporter.export(path)
            wait(lambda: model.state.notice is not None)
            model.dismiss_notice()
            typer.echo(path)
    model.player.set_loop(True)
    guided = (
        ("plane-guided", -2, 3, 60, (-0.6, 0.3)),
        ("plane-tilted", -1, 0, 200, (0.9, 0.2)),
    )
    for name, card, action, state, point in guided:
        _try(page, card, action)
        model.player.stop()
        model.player.seek(state)
        wait(lambda: not model.player.moving)
        model.point_at(*point)
        album.take(app.shell, name)


def _try(page: Page, card: int, action: int) -> None:
    """Shows a card of a page's tour, and does what it proposes."""
    assert page.tour is not None
    page.tour.go(card)
    page.tour.take(page.tour.cards[card].actions[action])


# name, card of the tour, its action
_CODES = (
    ("autoencoder-linear", 0, 0),
    ("autoencoder-map", 3, 0),
    ("autoencoder-hierarchy", 5, 0),
    ("autoencoder-bridge", 6, 2),
)


def _shoot_codes(app: App, album: Album, run: Path) -> None:
    """The Autoencoder page after what the cards of its tour propose, and what a VAE learned."""
    page = _studio(app).code_page
    model = page.model
    _studio(app).show_page("autoencoder")
    wait(lambda: model.state.data is not None)
    for name, card, action in _CODES:
        _try(page, card, action)
        wait(lambda: model.state.phase == "running")
        wait(lambda: not model.state.busy)
        model.measure()
        wait(lambda: model.measuring.state.report is not None and not model.measuring.state.doing)
        if name == "autoencoder-map":
            model.show("learn")
            album.take(app.shell, "autoencoder")
            model.show("code")
            page.code.show_map(True)
            model.latent.point_at(0.8, -1.2)
        album.take(app.shell, name)


_PAGES: dict[PageName, Callable[[App, Album, Path], None]] = {
    PageName.SAMPLE: _shoot_sample, PageName.TRAIN: _shoot_train, PageName.PLANE: _shoot_plane,
    PageName.AUTOENCODER: _shoot_codes, PageName.THEORY: _shoot_theory, PageName.RUNS: _shoot_runs,
    PageName.DIALOGS: _shoot_dialogs,
}  # fmt: skip
"""In the order in which they are visited."""


def _studio(app: App) -> Studio:
    assert app.studio is not None  # it is ready
    return app.studio


def _has_reached(model: PlaneViewModel, state: int) -> bool:
    return model.chain.position >= state

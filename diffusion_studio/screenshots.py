"""Pictures of every page, made by the app itself: at the sizes of common screens, light and dark."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from diffusion_studio.cli.options import plain_app

if TYPE_CHECKING:
    from diffusion_studio.app import App
    from diffusion_studio.pages.page import Page
    from diffusion_studio.studio import Studio
    from diffusion_studio.viewmodels.plane.model import PlaneViewModel

SIZES = ("960x640", "1280x800", "1366x768", "1920x1200")
ANIMATED_SIZE = (1280, 800)
SCALES = (100, 150, 200)  # %
MODES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
CLASSIFIER_SECONDS = 15.0
PATIENCE = 180_000  # ms to wait for a page to be complete


class PageName(StrEnum):
    """The pages that pictures are made of."""

    TRAIN = "train"
    SAMPLE = "sample"
    PLANE = "plane"
    AUTOENCODER = "autoencoder"
    THEORY = "theory"
    RUNS = "runs"


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
    album = Album(folder, tuple(map(_size, sizes or SIZES)), scale)
    with tempfile.TemporaryDirectory(prefix="diffusion-studio-") as home:
        os.environ["DIFFUSION_STUDIO_HOME"] = home
        run = _train(seconds)
        folder.mkdir(parents=True, exist_ok=True)
        _take(album, run, pages or list(PageName))


@dataclass(frozen=True)
class Album:
    """Where pictures go, and of which sizes of the screen they are made, in its own pixels."""

    folder: Path
    sizes: tuple[tuple[int, int], ...]
    scale: int  # %, of the screen

    @property
    def windows(self) -> Iterator[tuple[int, int, str]]:
        """Width and height of a window that fills the screen, and the end of a picture's name.

        A screen that has no room for the window is left out.
        """
        from diffusion_studio.pages.shell import LEAST

        for width, height in self.sizes:
            inside = width * 100 // self.scale, height * 100 // self.scale
            if inside[0] >= LEAST.width() and inside[1] >= LEAST.height():
                scaled = "" if self.scale == 100 else f"@{self.scale}"
                yield *inside, f"{width}x{height}{scaled}"


def _size(text: str) -> tuple[int, int]:
    """ "1280x800" as numbers."""
    try:
        width, height = (int(part) for part in text.lower().replace("×", "x").split("x"))
    except ValueError:
        raise typer.BadParameter(f"{text}: a size is needed, like 1280x800") from None
    return width, height


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
    from diffusion_studio.widgets.look.theme import theme

    application = QApplication.instance() or QApplication(["diffusion-studio"])
    app = App()
    app.show()
    _wait(lambda: app.studio is not None)
    for name, shoot in _PAGES.items():
        if name in pages:
            shoot(app, album, run)
    app.close()
    theme().set_mode("system")
    application.processEvents()


def _shoot_train(app: App, album: Album, run: Path) -> None:
    studio = _studio(app)
    studio.show_page("train")
    _wait(lambda: studio.training.state.data is not None)
    _shoot(app, album, "train-empty")
    studio.training.show_run(run)
    _shoot(app, album, "train")


def _shoot_sample(app: App, album: Album, run: Path) -> None:
    """The Sample page as it is found, with a trained model, and taken apart."""
    studio = _studio(app)
    studio.show_page("sample")
    _wait(lambda: studio.sampling.state.chains.complete and not studio.sampling.state.chains.busy)
    _shoot(app, album, "sample-first-start")
    studio.sampling.choices.refresh()
    studio.sampling.choices.choose(str(run))
    _wait(lambda: studio.sampling.state.chains.facts.model == run.name)
    _wait(lambda: not studio.sampling.state.chains.busy)
    studio.sampling.player.seek(len(studio.sampling.state.chains.facts.times) * 2 // 5)
    _shoot(app, album, "sample")
    _shoot_laboratory(app, album)


def _shoot_theory(app: App, album: Album, run: Path) -> None:
    studio = _studio(app)
    studio.show_page("theory")
    for part in ("schedules", "weights", "errata"):
        studio.theory_page.show_part(part)
        _shoot(app, album, f"theory-{part}")


def _shoot_runs(app: App, album: Album, run: Path) -> None:
    from diffusion_studio.engine.files.places import runs_dir
    from diffusion_studio.engine.runs.run import list_runs

    studio = _studio(app)
    studio.show_page("runs")
    _wait(lambda: len(studio.runs.state.runs) == len(list_runs(runs_dir())))
    _shoot(app, album, "runs")


def _shoot_laboratory(app: App, album: Album) -> None:
    """The Sample page taken apart: branches, A/B, σ by hand, the strip, memory, an image inverted."""
    studio = _studio(app)
    model, page = studio.sampling, studio.sample_page

    def shoot(name: str) -> None:
        model.tree.settle()
        _wait(lambda: not model.state.chains.busy)
        _shoot(app, album, f"sample-{name}")

    model.branch()
    model.tree.edit("sampler.eta", 1.0)
    model.tree.settle()
    _wait(lambda: not model.state.chains.busy)
    model.tree.show(0)
    _wait(lambda: not model.state.chains.busy)
    model.branch()
    model.tree.edit("label", 3)
    model.player.seek(len(model.state.chains.facts.times) * 4 // 5)
    shoot("branches")
    model.tree.show(1)
    model.tree.compare(0)
    shoot("compared")
    model.tree.compare(-1)
    model.tree.show(0)
    _wait(lambda: not model.state.chains.busy)
    model.tree.edit("sampler.eta", 0.6)
    model.tree.edit("sampler.kind", "sigma")
    page.side.show_tab("by hand")
    shoot("sigma")
    model.pictures.set_layout("strip")
    page.side.show_tab("nearest")
    _pause(2000)
    shoot("strip")
    model.pictures.set_layout("guided")
    model.tree.edit("sampler.kind", "ddim")
    model.tree.edit("guidance", 3.0)
    page.side.show_tab("guidance")
    _wait(lambda: model.beside.trade.state.strip is not None)
    page.side.trade.measure_requested.emit()
    _wait(lambda: len(model.beside.trade.state.trades) > 0 and not model.beside.trade.state.measuring)
    shoot("guidance")
    model.pictures.set_layout("grid")
    page.side.show_tab("classifier")
    page.side.classifier.train_requested.emit(CLASSIFIER_SECONDS)
    _wait(lambda: model.beside.classifier.state.busy)
    _wait(lambda: model.chains.record is not None and model.chains.record.chain.source.classifier is not None)
    model.tree.edit("guide.kind", "classifier")
    shoot("classifier")
    model.tree.edit("guide.kind", "free")
    page.side.show_tab("curves")
    model.tree.edit("guidance", 1.0)
    model.files.open_images(_two_digits(album.folder))
    model.player.seek(len(model.state.chains.facts.times))
    _wait(lambda: not model.state.chains.busy)
    _wait(lambda: len(model.beside.reconstruction.errors) >= 5)
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
        _wait(lambda: not model.state.learning.running)
        model.restart()
        model.player.set_loop(False)
        model.player.play()
        _wait(partial(_has_reached, model, state))
        model.player.stop()
        model.player.seek(state)
        _wait(lambda: not model.player.moving and not model.meter.busy)
        _shoot(app, album, name)
        if name == "plane":
            page.bar.relief.setChecked(True)
            _shoot(app, album, "plane-landscape")
            page.bar.relief.setChecked(False)
        if name == _ANIMATED:
            app.shell.resize(*ANIMATED_SIZE)
            path = album.folder / f"{name}.gif"
            page.exporter.export(path)
            _wait(lambda: model.state.notice is not None)
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
        _wait(lambda: not model.player.moving)
        model.point_at(*point)
        _shoot(app, album, name)


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
    _wait(lambda: model.state.data is not None)
    for name, card, action in _CODES:
        _try(page, card, action)
        _wait(lambda: model.state.phase == "running")
        _wait(lambda: not model.state.busy)
        model.measure()
        _wait(lambda: model.measuring.state.report is not None and not model.measuring.state.doing)
        if name == "autoencoder-map":
            model.show("learn")
            _shoot(app, album, "autoencoder")
            model.show("code")
            page.code.show_map(True)
            model.latent.point_at(0.8, -1.2)
        _shoot(app, album, name)


_PAGES: dict[PageName, Callable[[App, Album, Path], None]] = {
    PageName.SAMPLE: _shoot_sample, PageName.TRAIN: _shoot_train, PageName.PLANE: _shoot_plane,
    PageName.AUTOENCODER: _shoot_codes, PageName.THEORY: _shoot_theory, PageName.RUNS: _shoot_runs,
}  # fmt: skip
"""In the order in which they are visited."""


def _studio(app: App) -> Studio:
    assert app.studio is not None  # it is ready
    return app.studio


def _has_reached(model: PlaneViewModel, state: int) -> bool:
    return model.chain.position >= state


def _shoot(app: App, album: Album, name: str) -> None:
    """The window in both themes and sizes."""
    from diffusion_studio.widgets.look.theme import theme

    shell = app.shell
    for mode in MODES:
        theme().set_mode(mode)
        for width, height, size in album.windows:
            shell.resize(width, height)
            _pause(700)
            path = album.folder / f"{name}-{mode}-{size}.png"
            shell.grab().save(str(path))
            typer.echo(path)


def _wait(condition: Callable[[], bool]) -> None:
    """Lets the window live until `condition` holds.

    Raises:
        TimeoutError: it never did.
    """
    waited = 0
    while not condition():
        if waited >= PATIENCE:
            raise TimeoutError("A page was not complete in time.")
        _pause(50)
        waited += 50


def _pause(milliseconds: int) -> None:
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()

"""The part of `benchmarks.remote` that opens the window: it follows a training over a real connection."""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

from benchmarks.remote import Rows, Server, know, put
from benchmarks.window import built, live, started, wait
from diffusion_studio.app import App
from diffusion_studio.engine.machine.remote import PROGRAM
from diffusion_studio.engine.runs.checkpoints import list_checkpoints
from diffusion_studio.engine.runs.run import Run, Wish
from diffusion_studio.studio import Studio

SMALL = {
    "training.batch_size": 16, "model.width": 16, "data.resolution": 8, "training.preview_count": 16,
    "training.checkpoint_every": 500,
}  # fmt: skip
SIZE, SHOWN = (1280, 800), 0.5  # of the window; seconds until what was told is painted


def watched(place: Path, pictures: Path | None) -> Rows:
    """Follows a training in the window: rows of what was done, what was said and how long it took."""
    os.environ["DIFFUSION_STUDIO_HOME"] = str(place / "window")
    rows: Rows = []
    programs = place / "programs"
    programs.mkdir()
    put(programs / PROGRAM, f'#!/bin/sh\nexec {sys.executable} -m diffusion_studio "$@"\n')
    started(lambda app: _Visit(app, place, rows, pictures).go())
    return rows


class _Visit:
    def __init__(self, app: App, place: Path, rows: Rows, pictures: Path | None) -> None:
        self._app, self._place, self._rows, self._pictures = app, place, rows, pictures
        self._server = Server(place)
        know(place, self._server)
        self._run = place / "there" / "a run of “ü”"
        self._run.parent.mkdir(exist_ok=True)
        app.shell.resize(*SIZE)
        app.show()
        self._studio: Studio = built(app)
        self._model = self._studio.training
        self._studio.show_page("train")

    def go(self) -> None:
        training = self._train()
        try:
            self._follow()
            self._disturb()
            self._ask("stop", lambda: "has ended" in self._model.state.detail)
            training.wait()
            self._begin_again()
        finally:
            self._end_of(training)
            self._server.end()

    def _train(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "diffusion_studio", "train", "digits", "--run", str(self._run)]
        for name, value in SMALL.items():
            words += ["--set", f"{name}={value}"]
        environment = os.environ | {
            "DIFFUSION_STUDIO_HOME": str(self._place / "home"),
            "OMP_NUM_THREADS": "1",
        }
        training = subprocess.Popen([*words, "--steps=10000000", "--quiet"], env=environment)
        saved = self._run / "checkpoints"
        wait(lambda: bool(list_checkpoints(saved)) or training.poll() is not None)
        return training

    def _end_of(self, training: subprocess.Popen[bytes]) -> None:
        """Nothing goes on here when all is over, whatever went wrong."""
        mine = [training.pid]
        for process in psutil.process_iter(["cmdline"]):
            if str(self._run) in (process.info["cmdline"] or []):
                mine.append(process.pid)
        for number in mine:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(number).kill()

    def _until(self, what: str, happened: Callable[[], bool], said: Callable[[], str] | None = None) -> None:
        """Waits for it, takes it down and photographs the window."""
        began = time.perf_counter()
        with contextlib.suppress(TimeoutError):
            wait(happened, 60)
        seconds = time.perf_counter() - began
        sentence = said() if said is not None else self._model.state.detail
        self._rows.append((what, sentence, seconds, happened()))
        if self._pictures is not None:
            live(SHOWN)
            self._pictures.mkdir(parents=True, exist_ok=True)
            name = f"{len(self._rows):02}-{what.replace(' ', '-')}.png"
            self._app.shell.grab().save(str(self._pictures / name))

    def _notice(self) -> str:
        notice = self._model.state.notice
        return "" if notice is None else notice.text

    def _steps(self, more: int) -> Callable[[], bool]:
        """Whether so many more were told from now on."""
        known = self._model.record.last_step
        return lambda: self._model.record.last_step >= known + more

    def _follow(self) -> None:
        self._model.following.look_at(f"ssh://127.0.0.1:{self._server.port}{self._run}")
        self._until("asked for", lambda: self._model.state.run is not None)
        self._until("followed", self._steps(200))
        self._until("its preview", lambda: len(self._model.record.previews) > 0)
        self._ask("pause", lambda: "paused" in self._model.state.detail)
        self._ask("go on", lambda: "trained by" in self._model.state.detail)
        self._until("goes on", self._steps(200))

    def _ask(self, wish: Wish, heeded: Callable[[], bool]) -> None:
        self._model.following.ask(wish)
        self._until(f"asked to {wish}", heeded)

    def _disturb(self) -> None:
        """The connection is cut, the server is gone for a while, and comes again."""
        self._server.cut()
        self._until("after a cut", self._steps(200))
        self._server.end()
        self._until("the server gone", lambda: "cannot be reached" in self._notice(), self._notice)
        self._server = Server(self._place, port=self._server.port)
        self._until("the server back", self._steps(200))
        self._until("and nothing false said", lambda: "cannot be reached" not in self._notice(), self._notice)

    def _begin_again(self) -> None:
        told = self._model.record.losses
        known = Run.open(self._run).metrics.losses()
        both = np.isin(known.steps, told.steps)
        same = (
            np.array_equal(known.losses[both].astype(np.float32), told.values)
            and known.steps[-1] == told.steps[-1]
        )
        self._rows.append(
            ("every loss that was followed is the one there", f"{both.sum():,} losses", 0.0, bool(same))
        )
        mirror = self._model.state.run
        assert mirror is not None
        self._model.following.begin_there(mirror)
        self._until("begun again", lambda: "begun again" in self._notice(), self._notice)
        self._until("and followed", self._steps(200))
        self._ask("stop", lambda: "has ended" in self._model.state.detail)

"""What is kept of the chains: beside their run, and in the memory of the window.

Nothing of it is put into words in the middle of an edit: a timer does that when the last one is a while ago,
or the closing of the window.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer

from diffusion_studio.core.describe import validated
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.chains.chain_tree import ChainTree, load_tree, save_tree, set_aside
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.run import is_run
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.sample.state import SampleParameters

log = logging.getLogger(__name__)
DELAY = 500  # ms from the last change to the disk


class SavedTrees(QObject):
    """Keeps the tree of each run in its `chains.json`; other denoisers have no place for one.

    Args:
        complain: called with a sentence where saved chains cannot be read.
    """

    def __init__(self, complain: Callable[[str], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._complain = complain
        self._waiting: dict[str, ChainTree] = {}
        self._writing: dict[str, ChainTree] = {}
        self._timer = QTimer(self, singleShot=True, interval=DELAY)
        self._timer.timeout.connect(self._write_beside)
        self._slot = Slot(self)

    def keep(self, source: str, tree: ChainTree) -> None:
        """Writes the tree of a run soon, unless another one follows."""
        if is_run(Path(source)):
            self._waiting[source] = tree
            self._timer.start()

    def load(self, source: str) -> ChainTree | None:
        """The tree that was kept last; None when there is none that can be read."""
        found = self._waiting.get(source) or (self._writing.get(source) if self._slot.busy else None)
        if found is not None or not is_run(Path(source)):
            return found
        try:
            return load_tree(Path(source))
        except Refused as error:
            self._complain(str(error))
            return None

    def flush(self) -> None:
        """Writes now; for closing the window."""
        self._timer.stop()
        self._slot.finish(60_000)
        _write(self._waiting)
        self._waiting = {}

    def _write_beside(self) -> None:
        """A folder may lie on a slow disk, so the window does not wait for it."""
        if self._slot.busy:
            self._timer.start()
            return
        trees = self._writing = self._waiting
        self._waiting = {}

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            _write(trees)
            yield events.Finished("done")

        self._slot.start(stream)


def _write(trees: dict[str, ChainTree]) -> None:
    """A folder that cannot be written to is no reason to fail."""
    for source, tree in trees.items():
        path = Path(source)
        try:
            if is_run(path) and _known(path) != tree:
                save_tree(path, tree)
        except OSError as error:
            log.warning("The chains of %s could not be saved: %s", path, error)


def _known(run: Path) -> ChainTree | None:
    """The chains that lie there. What cannot be read is set aside: perhaps a newer version wrote it."""
    try:
        return load_tree(run)
    except Refused as error:
        log.warning("%s They are set aside.", error)
        set_aside(run)
        return None


def to_remember(parameters: SampleParameters) -> dict[str, Any]:
    """Parameters as JSON."""
    return {"source": parameters.source, "tree": parameters.tree.model_dump(mode="json")}


def restored(value: Any) -> SampleParameters | None:
    """The opposite; None when there is nothing, or nothing that this version can read.

    An earlier version knew one chain without branches.
    """
    if not value:
        return None
    try:
        tree = value["tree"] if "tree" in value else {"spec": value["spec"]}
        return SampleParameters(str(value["source"]), validated(ChainTree, tree))
    except (Refused, KeyError, TypeError):
        log.warning("The remembered sampling parameters were not valid; the defaults are used.")
        return None

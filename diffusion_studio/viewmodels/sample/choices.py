"""Which denoisers there are, and the one that is chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject

from diffusion_studio.viewmodels.sample.saved import SavedTrees
from diffusion_studio.viewmodels.sample.sources import SourceChoice, is_there, list_choices
from diffusion_studio.viewmodels.sample.tree import TreeModel


class Choices(QObject):
    """The list of denoisers; the chosen one is the tree's.

    Args:
        runs_dir: where trainings lie.
        told: called when the list is another one.
    """

    def __init__(
        self, runs_dir: Path, tree: TreeModel, saved: SavedTrees, told: Callable[[], None],
        parent: QObject | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._runs_dir, self._tree, self._saved, self._told = runs_dir, tree, saved, told
        self._data_sources: tuple[str, ...] = ()
        self._extra: tuple[str, ...] = ()
        self.state: tuple[SourceChoice, ...] = ()

    def refresh(self, *data_sources: str) -> None:
        """Looks again which denoisers there are; `data_sources` are data sets at hand."""
        self._data_sources = tuple(dict.fromkeys((*self._data_sources, *data_sources)))
        choices = list_choices(self._runs_dir, self._data_sources, self._extra)
        key = self._tree.parameters.source
        if key not in {choice.key for choice in choices}:
            choices.append(SourceChoice(key, Path(key).name))
        self.state = tuple(choices)
        self._told()

    def choose(self, key: str) -> None:
        """Another denoiser, with the chains that were saved with it."""
        saved = self._saved.load(key) if key != self._tree.parameters.source else None
        self._tree.put(source=key, tree=saved or self._tree.value)

    def open_folder(self, path: Path) -> None:
        """A run or a model folder from anywhere on the disk."""
        self._extra = tuple(dict.fromkeys((*self._extra, str(path))))
        self.refresh()
        self.choose(str(path))

    def has(self, key: str) -> bool:
        """Whether a denoiser is on the list, or at the place that its key names."""
        return key in {choice.key for choice in self.state} or is_there(key)

"""Images that come in, and pictures, numbers and command lines that go out of the Sample page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject

from diffusion_studio.core.describe import validated, with_value
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.command import command_of
from diffusion_studio.engine.chains.export import ExportKind, save_trajectory
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.chains.views import View
from diffusion_studio.engine.files.pictures import read_settings
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.viewmodels.job import Post, Slot, Stream
from diffusion_studio.viewmodels.notice import Notice, notice_of
from diffusion_studio.viewmodels.sample.chains import Chains
from diffusion_studio.viewmodels.sample.choices import Choices
from diffusion_studio.viewmodels.sample.notices import Notices
from diffusion_studio.viewmodels.sample.pictures import Pictures
from diffusion_studio.viewmodels.sample.player import Player
from diffusion_studio.viewmodels.sample.state import VIEWS
from diffusion_studio.viewmodels.sample.tree import TreeModel


class SampleFiles(QObject):
    """Takes images and settings in; writes what is seen beside the window."""

    def __init__(
        self, tree: TreeModel, choices: Choices, chains: Chains, player: Player, pictures: Pictures,
        notices: Notices, parent: QObject | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._tree, self._choices, self._chains = tree, choices, chains
        self._player, self._pictures, self._notices = player, pictures, notices
        self._slot = Slot(self)
        self._slot.told.connect(self._on_event)

    # --- in ---------------------------------------------------------------------------------------------

    def open_images(self, paths: Sequence[Path]) -> None:
        """Dropped images: settings inside a picture are taken back, others are where chains begin."""
        settings = read_settings(paths[0]) if len(paths) == 1 else None
        if settings is not None and isinstance(settings.get("sample"), dict):
            self.restore(settings)
            return
        try:
            spec = beginning_at(self._tree.parameters.spec, paths)
        except Refused as error:
            self._notices.say(Notice("error", str(error)))
            return
        self._tree.put(tree=self._tree.value.showing(0).with_spec(spec))

    def restore(self, settings: dict[str, Any]) -> None:
        """The settings that a picture of ours carries, or a state."""
        try:
            tree = settings.get("tree")
            found = validated(ChainTree, tree or {"spec": settings["sample"]})
        except Refused:
            self._notices.say(Notice("error", tr("These settings are of another version.")))
            return
        source = str(settings.get("source", ""))
        known = self._choices.has(source)
        if source and not known:
            text = tr(
                "{model} is not here; the other settings are used.",
                model=settings.get("model", tr("The model")),
            )
            self._notices.waiting = Notice("info", text)
            self._notices.say(self._notices.waiting)
        if str(settings.get("view")) in VIEWS:
            self._pictures.set_view(str(settings["view"]))
        if isinstance(settings.get("time"), float):
            self._player.stand_at(settings["time"])
        self._tree.put(source=source if known else self._tree.parameters.source, tree=found)

    # --- out --------------------------------------------------------------------------------------------

    def command(self) -> str:
        """The command line that makes the samples of the shown track again; a branch's from its start on."""
        asked, record = self._tree.parameters, self._chains.record
        return command_of(asked.source, asked.spec, names=record.chain.class_names if record else ())

    def export(self, path: Path, kind: ExportKind = "state") -> None:
        """Writes what is seen, beside the window; the file's name says how."""
        record = self._chains.record
        if record is None or self._slot.busy:
            what = tr("The export before is not finished yet.") if record else tr("There is no chain yet.")
            self._notices.say(Notice("info", what))
            return
        view, position = self._pictures.state.view, self._player.state.position
        self._slot.start(exporting(path, record, view, position, self._settings(record), kind))

    def state(self) -> dict[str, Any] | None:
        """What `restore` takes; None while there is no chain."""
        record = self._chains.record
        return None if record is None else self._settings(record)

    def _settings(self, record: Trajectory) -> dict[str, Any]:
        """What a picture says of how it was made."""
        shown, source, player = self._chains.shown, record.chain.source, self._player.state
        assert shown is not None
        return {
            "model": source.name, "step": source.step, "source": self._tree.parameters.source,
            "sample": record.chain.spec.model_dump(mode="json"), "view": self._pictures.state.view,
            "position": player.position, "time": player.place,
            "tree": shown.tree.model_dump(mode="json"), "command": self.command(),
        }  # fmt: skip

    def _on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Finished):
            self._notices.say(notice_of(event))

    def shutdown(self) -> None:
        """Waits for what is being written."""
        self._slot.finish(60_000)


def beginning_at(spec: SampleSpec, paths: Sequence[Path]) -> SampleSpec:
    """The chain with these images at its beginning: inverted, unless it begins at images already.

    Raises:
        Refused: more images than chains can be; the message is a sentence.
    """
    start = spec.start
    spec = with_value(spec, "start.kind", start.kind if start.is_given else "inverted")
    spec = with_value(spec, "start.images", tuple(map(str, paths)))
    if not start.is_given:
        spec = with_value(spec, "count", len(paths))
        spec = with_value(spec, "guidance", 0.0)  # which class an image is of is not known
    return spec


def exporting(
    path: Path, record: Trajectory, view: View, position: int, settings: dict[str, Any], kind: ExportKind
) -> Stream:
    """A job that writes what is seen; its last event says where."""

    def stream(control: Control, post: Post) -> Iterator[events.Event]:
        try:
            save_trajectory(path, record, view, position, settings, kind)
        except OSError as error:
            raise Refused(
                tr("{path} could not be written: {reason}.", path=path, reason=error.strerror or error)
            ) from error
        yield events.Finished("done", tr("Saved {path}.", path=path), file=str(path))

    return stream

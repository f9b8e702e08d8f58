"""Behind the Sample page: what is asked for, what is computed of it, where in it one stands, what is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data.spec import DIGITS
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.machine.devices import choose_device, device_name
from diffusion_studio.engine.runs.run import owner_of
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.page_model import PageModel
from diffusion_studio.viewmodels.sample.beside import Beside
from diffusion_studio.viewmodels.sample.chains import Chains, ImagesRefused, Told, TracksBegun
from diffusion_studio.viewmodels.sample.choices import Choices
from diffusion_studio.viewmodels.sample.files import SampleFiles
from diffusion_studio.viewmodels.sample.notices import Notices
from diffusion_studio.viewmodels.sample.pictures import Pictures
from diffusion_studio.viewmodels.sample.player import Player
from diffusion_studio.viewmodels.sample.saved import SavedTrees
from diffusion_studio.viewmodels.sample.sources import memorising_choice
from diffusion_studio.viewmodels.sample.state import SampleParameters, SampleState
from diffusion_studio.viewmodels.sample.tree import TreeModel


class SampleViewModel(PageModel):
    """Ties the parts together, and tells of all of them in one frozen state.

    An edit is told when it is made, when its chains begin (with a first picture), and when they are complete.
    How far they have come meanwhile is not told: who shows it has a `look`.

    All methods, those of the parts too, are called on the window's thread.
    """

    def __init__(
        self, runs_dir: Path, parameters: SampleParameters | None = None, device: str = "auto",
        parent: QObject | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        chosen = choose_device(device)
        start = parameters or SampleParameters(memorising_choice(DIGITS).key, ChainTree())
        self.notices = Notices(self._tell, self)
        self.chains = Chains(chosen, self._on_chains, self)
        self.tree = TreeModel(start, self.chains, self._on_tree, self)
        self.player = Player(self.chains.road, self._tell, self)
        self.pictures = Pictures(self._tell, self)
        self.pictures.failed.connect(self._on_undecoded)
        self.saved = SavedTrees(self._on_unreadable, self)
        self.choices = Choices(runs_dir, self.tree, self.saved, self._tell, self)
        self.files = SampleFiles(
            self.tree, self.choices, self.chains, self.player, self.pictures, self.notices, self
        )
        self.beside = Beside(self.chains, self)
        self.beside.moved.told.connect(self.notices.say)
        self.beside.classifier.use_device(device)
        self.beside.classifier.trained.connect(self.classifier_trained)
        self.state = self._told = SampleState(self.tree.state, device=device_name(chosen))

    # --- what the person does ---------------------------------------------------------------------------

    def branch(self) -> None:
        """A branch that leaves the shown track at the shown state."""
        record = self.chains.record
        if record is not None:
            leaves = min(self.player.state.position, record.steps - 1)
            self._branch(self.tree.branch, record.times[leaves])

    def compare_new(self) -> None:
        """A/B: a second chain with the same start and the same noise, compared with the one on show."""
        record = self.chains.record
        if record is not None:
            self._branch(self.tree.compare_new, record.times[0])

    def stop(self) -> None:
        """Ends what is being computed: what there is of it stays, and what has not begun is taken back."""
        asked, shown = self.tree.parameters, self.chains.shown
        self.chains.halt()
        if shown is not None and shown != asked:
            other = shown.source != asked.source
            self.tree.withdraw(lambda v: v.source == asked.source if other else v == asked, shown)
            if self.tree.parameters != shown:
                self._compute()
        self._tell()

    def use_device(self, name: str) -> None:
        """Computes on another device from now on, by its name or "auto"."""
        self.beside.classifier.use_device(name)
        chosen = choose_device(name)
        if chosen != self.chains.device:
            self.chains.use(chosen)
            self.state = replace(self.state, device=device_name(chosen))
            self.compute()

    def _branch(self, act: Callable[[int], None], time: int) -> None:
        try:
            act(time)
        except Refused as error:
            self.notices.say(Notice("error", str(error)))

    # --- what happens elsewhere -------------------------------------------------------------------------

    def model_saved(self, run: Path) -> None:
        """A run has a newer checkpoint; if it is the one that is shown, its chain is computed again."""
        self.choices.refresh()
        if self.tree.parameters.source == str(run):
            self.compute()

    def classifier_trained(self, run: Path) -> None:
        """A run has another classifier; the chain on show is computed again if it may be guided by it."""
        if owner_of(Path(self.tree.parameters.source)) == run:
            self.compute()

    def _on_unreadable(self, sentence: str) -> None:
        """Saved chains cannot be read; those that begin in their place say so."""
        kept = tr("They stay in its folder, and new ones begin.")
        self.notices.waiting = Notice("warning", f"{sentence} {kept}")

    # --- what is told -----------------------------------------------------------------------------------

    def look(self) -> SampleState:
        """The state as it is by now, with how far the chains have come."""
        chains, player = self.chains.state, self.player.state
        pictures = self.pictures.look(self.chains, player.position)
        self.state = SampleState(
            self.tree.state, chains, player, pictures, self.choices.state, self.state.device,
            self.notices.state,
        )  # fmt: skip
        return self.state

    def _tell(self) -> None:
        if self.look() != self._told:
            self._told = self.state
            self.changed.emit(self.state)

    # --- from what is asked for to what is seen ---------------------------------------------------------

    def compute(self) -> None:
        """Computes the chains that are asked for."""
        self._compute()
        self._tell()

    def _compute(self) -> None:
        place, view = self.player.state.place, self.pictures.state.view
        self.chains.compute(self.tree.parameters, place, view)

    def _on_tree(self, before: SampleParameters) -> None:
        asked = self.tree.parameters
        if asked != before:
            if self.chains.show(asked):
                self._begin()
            self._compute()
        self._tell()

    def _on_chains(self, event: Told) -> None:
        match event:
            case TracksBegun():
                self._begin(event.rough)
                self.notices.waiting = None
                self.saved.keep(event.asked.source, event.asked.tree)
            case ImagesRefused():
                self.notices.state = Notice("error", event.message)
                self._take_images_back()
            case events.Finished(outcome="failed"):
                self.notices.state = Notice("error", event.message, event.traceback)
                if self.chains.record is None:
                    self._fall_back()
        self._tell()

    def _on_undecoded(self, message: str, traceback: str) -> None:
        self.notices.say(Notice("error", message, traceback))

    def _begin(self, rough: NDArray[np.uint8] | None = None) -> None:
        """Other chains are on show."""
        record = self.chains.record
        assert record is not None
        self.player.enter()
        self.pictures.begin(record, rough, self.player.state.position)
        self.notices.begin(record.chain.source.notes, first=not self.state.chains.facts.times)

    # --- when it cannot be ------------------------------------------------------------------------------

    def _take_images_back(self) -> None:
        """Takes back images that cannot be read; chains that were saved with them begin at noise."""
        asked, shown = self.tree.parameters, self.chains.shown
        if shown is None or asked.source != shown.source:
            self.notices.waiting = self.notices.state
            if shown is not None:
                self.tree.put(tree=asked.tree.from_noise())
            else:
                self.tree.begin_again(SampleParameters(asked.source, asked.tree.from_noise()))
                self._compute()
            return
        files = asked.tree.spec.start.files
        self.tree.withdraw(lambda value: value.tree.spec.start.files == files, shown)
        start = self.tree.value.spec.start
        if self.tree.parameters != shown and (start.files or not start.is_given):
            self._compute()

    def _fall_back(self) -> None:
        """Shows the digits when what was remembered cannot be computed, so that the page is never empty."""
        digits, tree = memorising_choice(DIGITS).key, self.tree.value
        for source, chains in ((digits, tree), (digits, tree.from_noise()), (digits, ChainTree())):
            start = SampleParameters(source, chains)
            if start != self.tree.parameters:
                self.tree.begin_again(start)
                self._compute()
                return

    # --- the end ----------------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """Stops everything, waits, writes what is still to be written, and gives the records back."""
        self.beside.shutdown()
        self.player.stop()
        self.chains.stop()
        self._keep_what_is_asked()
        self.pictures.shutdown()
        self.chains.forget()
        self.pictures.forget()
        self.files.shutdown()
        self.saved.flush()

    def _keep_what_is_asked(self) -> None:
        """An edit whose chains had no time to begin was judged by the denoiser on show: it is not lost."""
        asked, shown = self.tree.parameters, self.chains.shown
        if shown is not None and shown.source == asked.source:
            self.saved.keep(asked.source, asked.tree)

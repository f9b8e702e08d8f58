"""Behind the 2-D page: particles that move over a field, and where in their chain one stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.plane.chain import PlaneChain
from diffusion_studio.engine.plane.field import FieldView, Window
from diffusion_studio.engine.plane.process import Langevin, Process
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.viewmodels.editor import Edited, Editor
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.page_model import PageModel
from diffusion_studio.viewmodels.plane.files import PlaneFiles, opened
from diffusion_studio.viewmodels.plane.frames import Draft, start_labels
from diffusion_studio.viewmodels.plane.learning import PlaneLearner
from diffusion_studio.viewmodels.plane.memory import to_remember
from diffusion_studio.viewmodels.plane.meter import PlaneMeter
from diffusion_studio.viewmodels.plane.methods import method_of, methods
from diffusion_studio.viewmodels.plane.modes import FARTHEST, Held, PlaneModes
from diffusion_studio.viewmodels.plane.player import PlanePlayer
from diffusion_studio.viewmodels.plane.pointer import PlanePointer
from diffusion_studio.viewmodels.plane.scene import PlaneScene
from diffusion_studio.viewmodels.plane.state import LearningState, Look, PlaneState


class PlaneViewModel(PageModel):
    """The state behind the 2-D page. All methods are called on the window's thread.

    Its parts are free to be asked: `editor` and `modes` change the parameters, `player` moves along the
    chain, `scene` tells what is drawn, `meter` what is measured, `pointer` what lies under the pointer.
    """

    def __init__(
        self, spec: PlaneSpec | None = None, look: Look | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        start = spec or PlaneSpec()
        self.state = PlaneState(start, look or Look(), playing=True)
        chain = PlaneChain(start, start.guided())
        draft = Draft(self.state.look, start, Window(), None, start_labels(chain.x))
        self._processes: dict[str, Process] = {}  # the last one of each method
        self.editor = Editor(start, self)
        self.modes = PlaneModes(self.editor, self)
        self.scene = PlaneScene(chain, draft, self)
        self.player = PlanePlayer(chain, self.restart, self.scene.maker, self)
        self.learner, self.pointer, self.files = PlaneLearner(self), PlanePointer(self), PlaneFiles(self)
        self.meter = PlaneMeter(start.process, self.scene.measurable, self)
        self._connect()
        self._begin(chain)

    def _connect(self) -> None:
        self.editor.changed.connect(self._on_edited)
        self.modes.changed.connect(self._on_held)
        self.scene.field_changed.connect(self._point_again)
        self.player.moved.connect(self._present)
        self.player.rested.connect(self._rest)
        self.player.changed.connect(self._show_player)
        self.learner.changed.connect(self._show_learning)
        self.learner.learned.connect(self._take_network)
        self.learner.failed.connect(self.complain)
        self.files.told.connect(self._tell)

    @property
    def spec(self) -> PlaneSpec:
        return self.editor.value

    @property
    def chain(self) -> PlaneChain:
        return self.player.chain

    # --- what the person changes --------------------------------------------------------------------------

    def edit(self, path: str, value: Any) -> None:
        """Changes one parameter; the noise level of a walk is a place in it."""
        if path == "t" and self.state.follows:
            self.player.seek_level(int(value))
        else:
            self.editor.edit(path, value)

    def set_spec(self, spec: PlaneSpec, look: Look | None = None) -> None:
        """Another state of the laboratory, as one step that can be undone."""
        if look is not None:
            self.set_look(look)
        self.editor.set(spec)

    def choose_method(self, key: str) -> None:
        """Another way to move; it comes back with the parameters that it had."""
        known = {m.key: m.process for m in methods()}
        self.editor.set(self.spec.model_copy(update={"process": self._processes.get(key, known[key])}))

    def pick_start(self, x: float, y: float) -> None:
        """The point from which all particles begin."""
        x, y = (min(max(value, -FARTHEST), FARTHEST) for value in (x, y))
        self.editor.set(self.spec.model_copy(update={"start": "point", "start_x": x, "start_y": y}))

    def set_look(self, look: Look) -> None:
        """How it is shown."""
        before = self.scene.draft.mover
        self._update(look=look)
        self.scene.draft = replace(self.scene.draft, look=look)
        if self.scene.draft.mover is not before:
            self._go_on(self.spec, self.spec)
        self.scene.show_field()
        self.scene.show_particles()

    def set_window(self, window: Window) -> None:
        """The part of the plane that is seen."""
        self.scene.draft = replace(self.scene.draft, window=window)
        self.scene.show_field()

    def _on_edited(self, edited: Edited[PlaneSpec]) -> None:
        before, spec = self.state.spec, edited.value
        if method_of(spec.process):
            self._processes[method_of(spec.process)] = spec.process
        if (spec.schedule, spec.forward) != (before.schedule, before.forward):
            self.learner.forget()  # it knows other noise levels
        self.scene.draft = replace(self.scene.draft, spec=spec, learned=self.learner.guided(spec))
        if _law(spec) != _law(before):
            self._go_on(before, spec)
        self._update(
            spec=spec, errors=edited.errors, can_undo=edited.can_undo, can_redo=edited.can_redo,
        )  # fmt: skip
        self.scene.show_field()

    def _on_held(self, held: Held) -> None:
        self._update(selected=held.selected, brush=held.brush)

    # --- chains -------------------------------------------------------------------------------------------

    def _go_on(self, before: PlaneSpec, spec: PlaneSpec) -> None:
        """A chain for the changed parameters: one level goes on from here, a walk is walked again."""
        same = _start(before) == _start(spec) and type(before.process) is type(spec.process)
        mover = self.scene.draft.mover
        if same and isinstance(spec.process, Langevin):
            here = min(self.chain.position, spec.process.steps)
            self._begin(PlaneChain(spec, mover, here, self.chain.x), anew=False)
        else:
            chain = PlaneChain(spec, mover)
            stays = same and chain.last == self.chain.last
            self._begin(chain, self.player.target if stays else 0)

    def restart(self) -> None:
        """The same from its beginning."""
        self._begin(PlaneChain(self.spec, self.scene.draft.mover))

    def _begin(self, chain: PlaneChain, target: int = 0, anew: bool = True) -> None:
        if anew:
            self.scene.draft = replace(self.scene.draft, starts=start_labels(chain.x))
            self.meter.begin(chain.spec.process)
        self.player.begin(chain, target)
        self.scene.begin(chain, self.player.target)
        self._present()
        self._show_player()

    def _present(self) -> None:
        """Shows the state at which the chain stands."""
        chain, position = self.chain, self.scene.stand(self.player.target)
        t, tables = chain.times[position], chain.denoiser.tables
        self._update(
            times=chain.times, first=chain.first, position=position, t=t,
            signal=float(tables.signal[t]), noise=float(tables.noise[t]),
        )  # fmt: skip
        self.scene.show()

    def _rest(self) -> None:
        self.scene.show_field()  # of the newest network
        self.meter.rest()

    def _show_player(self) -> None:
        player = self.player
        self._update(playing=player.playing, loop=player.loop, speed=player.speed)
        if player.moving:
            self.meter.keep_on()

    # --- learning, pointing, being seen -------------------------------------------------------------------

    def start_learning(self) -> None:
        """Trains a small network on the shown distribution, from the beginning."""
        self.learner.start(self.spec)
        self.scene.draft = replace(self.scene.draft, learned=None)

    def _show_learning(self, state: LearningState) -> None:
        self.player.set_calm(state.running and not state.paused)
        self._update(learning=state)

    def _take_network(self) -> None:
        draft = replace(self.scene.draft, learned=self.learner.guided(self.spec))
        self.scene.draft = draft
        if draft.look.field != "exact" and not self.player.moving:  # else it is in the next picture
            self.scene.show_field()
        if draft.look.field == "learned" and isinstance(self.spec.process, Langevin):
            self.chain.replace_denoiser(draft.mover)

    def point_at(self, x: float, y: float) -> None:
        """The pointer is over this place of the plane."""
        self.pointer.point_at(x, y, self.state.t, self.spec, self.scene.draft.learned)

    def _point_again(self, field: FieldView) -> None:
        """What lies under a pointer that rests is another now."""
        if self.pointer.reading is not None:
            self.point_at(self.pointer.reading.x, self.pointer.reading.y)

    def set_visible(self, visible: bool) -> None:
        """Whether the page is seen; a hidden one rests."""
        self.scene.set_seen(visible)
        if visible:
            self._present()
            self.meter.measure()
        self.player.set_awake(visible)
        self._show_player()

    # --- files and sentences ------------------------------------------------------------------------------

    def export(self, path: Path, frames: Sequence[NDArray[np.uint8]] = ()) -> None:
        """Writes a picture (.png), an animation (.gif, .webp, .mp4), particles (.npz) or the state (.json).

        Args:
            frames: the pictures (H, W, 3) of a picture file or an animation.
        """
        self.files.export(path, to_remember(self.state), self.chain.again(), frames)

    def open_state(self, path: Path) -> None:
        """Opens a state, or the state inside a picture."""
        try:
            spec, look = opened(path)
        except Refused as error:
            self.complain(str(error))
        else:
            self.set_spec(spec, look)

    def complain(self, sentence: str, details: str = "") -> None:
        """Tells what did not work."""
        self._tell(Notice("error", sentence, details))

    def _tell(self, notice: Notice) -> None:
        self._update(notice=notice)

    def dismiss_notice(self) -> None:
        if self.state.notice is not None:
            self._update(notice=None)

    def shutdown(self) -> None:
        """Stops everything."""
        self.scene.set_seen(False)
        for part in (self.player, self.pointer, self.learner, self.meter, self.files):
            part.shutdown()

    def _update(self, **values: Any) -> None:
        state = replace(self.state, **values)
        if state != self.state:
            self.state = state
            self.changed.emit(state)


def _start(spec: PlaneSpec) -> tuple[Any, ...]:
    return spec.count, spec.start, spec.start_x, spec.start_y, spec.seed


def _law(spec: PlaneSpec) -> tuple[Any, ...]:
    """What the particles' paths depend on."""
    level = spec.t if isinstance(spec.process, Langevin) else None
    return _start(spec), spec.followed, spec.process, level

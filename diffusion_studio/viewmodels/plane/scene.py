"""The picture of the state at which a chain stands: made anew where it differs from what is shown."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.denoisers.tilted import Level
from diffusion_studio.engine.plane.chain import Make, PlaneChain
from diffusion_studio.engine.plane.preview import preview
from diffusion_studio.engine.plane.process import State
from diffusion_studio.viewmodels.plane.frames import Draft, Frame, particles_of, quick_particles


class PlaneScene(QObject):
    """Tells what is to be drawn while it is seen; a preview stands for a state that is not computed yet."""

    field_changed = Signal(object)  # FieldView
    particles_changed = Signal(object)  # Particles

    def __init__(self, chain: PlaneChain, draft: Draft, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.draft = draft
        self._chain, self._position = chain, chain.position
        self._preview: State | None = None  # shown until the chain has caught up
        self._seen = False
        self._shown: tuple[Any, ...] = ()  # what the field on the screen was made of

    def begin(self, chain: PlaneChain, target: int) -> None:
        """Another chain, on its way to state `target`."""
        self._chain = chain
        self._preview = preview(chain, target) if chain.position != target else None

    def stand(self, target: int) -> int:
        """Comes to where the chain stands; the number of the state that is shown, `target` by a preview."""
        if self._chain.position == target:
            self._preview = None
        self._position = self._chain.position if self._preview is None else target
        return self._position

    def set_seen(self, seen: bool) -> None:
        """Whether anybody looks; who looks again has nothing on the screen."""
        self._seen = seen
        self._shown = ()

    @property
    def previews(self) -> bool:
        """Whether a preview stands for the state."""
        return self._preview is not None

    @property
    def _t(self) -> int:
        return self._chain.times[self._position]

    def measurable(self) -> tuple[PlaneChain, Level] | None:
        """The chain that is seen and the density that its particles should have; None for a preview."""
        if not self._seen or self.previews:
            return None
        return self._chain, self.draft.level(self._t)

    def maker(self) -> Make | None:
        """Makes the picture of a state to come; none while a preview stands for it."""
        if self.previews:
            return None
        draft, times, shown = self.draft, self._chain.times, self._shown
        return lambda position, state: draft.frame(times[position], state.x, shown)

    def show(self) -> None:
        """The whole picture."""
        made = self._chain.made
        fits = isinstance(made, Frame) and not self.previews and made.fits(self.draft)
        frame = made if isinstance(made, Frame) and fits else None  # made before it is asked for
        self.show_field(frame)
        self.show_particles(frame)

    def show_field(self, frame: Frame | None = None) -> None:
        """The field, where another one is on the screen."""
        key = self.draft.field_key(self._t) if frame is None else frame.key
        if key != self._shown and self._seen:
            self._shown = key
            self.field_changed.emit((frame and frame.field) or self.draft.field(self._t))

    def show_particles(self, frame: Frame | None = None) -> None:
        """The particles and their trails."""
        if not self._seen:
            return
        draft, x = self.draft, self._chain.x if self._preview is None else self._preview.x
        labels = draft.labels(self._t, x) if frame is None else frame.labels
        if self._preview is not None:
            self.particles_changed.emit(quick_particles(self._preview, draft.scale(self._t), labels))
        else:
            self.particles_changed.emit(particles_of(self._chain, draft.look, labels))

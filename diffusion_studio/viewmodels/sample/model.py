"""Behind the Sample page: a chain of one denoiser, its branches, and where in them the person stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer, Signal

from diffusion_studio.core.describe import validated, with_value
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers import SigmaCurve
from diffusion_studio.data.spec import DIGITS
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.chain_tree import ChainTree, load_tree, save_tree
from diffusion_studio.engine.chains.command import command_of
from diffusion_studio.engine.chains.distances import distance_between, distance_to_end
from diffusion_studio.engine.chains.export import ExportKind
from diffusion_studio.engine.chains.records import Readable, Tracks, check, fitting, place_of, rough_picture
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.chains.views import View
from diffusion_studio.engine.files.pictures import read_settings
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.devices import choose_device, device_name
from diffusion_studio.engine.runs.run import is_run, owner_of
from diffusion_studio.viewmodels.history import History
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.sample.chain_views import (
    Frame,
    captions_of,
    curves_of,
    frame_of,
    guided_frame,
    step_noise_of,
    strip_of,
)
from diffusion_studio.viewmodels.sample.files import beginning_at, exporting
from diffusion_studio.viewmodels.sample.player import Player
from diffusion_studio.viewmodels.sample.sources import (
    SourceCache,
    SourceChoice,
    is_there,
    list_choices,
    memorising_choice,
)
from diffusion_studio.viewmodels.sample.state import (
    VIEWS,
    ImagesRefused,
    Layout,
    RoughPicture,
    SampleParameters,
    SampleState,
    StepNumbers,
    TrackDone,
    TracksBegun,
    TrackState,
)

TICK = 10  # ms between looks into the mailbox: a slider that is held waits for the pictures
PROGRESS = 40  # ms between looks at a chain that is being computed


class SampleViewModel(QObject):
    """The state behind the Sample page. All methods are called on the window's thread."""

    changed = Signal(object)  # SampleState
    frame_changed = Signal(object)  # Frame
    strip_changed = Signal(object)  # Strip
    curves_changed = Signal(object)  # ChainCurves
    noise_changed = Signal(object)  # StepNoise
    chain_done = Signal(object)  # Trajectory

    def __init__(
        self, runs_dir: Path, parameters: SampleParameters | None = None, device: str = "auto",
        parent: QObject | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._runs_dir = runs_dir
        chosen = choose_device(device)
        self._cache, self._tracks, self._readable = SourceCache(chosen), Tracks(), Readable()
        start = parameters or SampleParameters(memorising_choice(DIGITS).key, ChainTree())
        self._history = History(start)
        self._data_sources: tuple[str, ...] = ()
        self._extra: tuple[str, ...] = ()
        self._records: tuple[Trajectory, ...] = ()
        self._shown_tree = start.tree  # the one whose records these are
        self._distances: dict[Trajectory, NDArray[np.float64]] = {}
        self._rough: NDArray[np.uint8] | None = None
        self._time = 0.0  # where the person stands, as a share of T
        self._strip_at = -1
        self._to_tell: Notice | None = None  # beside the next chains
        self._computing, self._exporting = Slot(self, TICK), Slot(self)
        self._computing.told.connect(self._on_event)
        self._exporting.told.connect(self._on_export)
        self._doing = ""
        self._progress = QTimer(self, interval=PROGRESS, singleShot=True)
        self._progress.timeout.connect(lambda: self._show_progress(self._doing))
        self._player = Player(self._place, self)
        self._player.moved.connect(self.seek)
        self._player.stopped.connect(self.stop_playing)
        self.state = SampleState(start, device=device_name(chosen))

    @property
    def parameters(self) -> SampleParameters:
        return self._history.value

    @property
    def record(self) -> Trajectory | None:
        """The record of the track that is shown."""
        return self._records[self._shown_tree.active] if self._records else None

    @property
    def compared(self) -> Trajectory | None:
        """The record that it is compared with."""
        other = self._shown_tree.compared
        return self._records[other] if self._records and other >= 0 else None

    # --- denoiser and parameters -----------------------------------------------------------------------

    def refresh_choices(self, *data_sources: str) -> None:
        """Looks again which denoisers there are; `data_sources` are data sets at hand."""
        self._data_sources = tuple(dict.fromkeys((*self._data_sources, *data_sources)))
        choices = list_choices(self._runs_dir, self._data_sources, self._extra)
        key = self.parameters.source
        if key not in {c.key for c in choices}:
            choices.append(SourceChoice(key, Path(key).name))
        self._update(choices=tuple(choices))

    def choose_source(self, key: str) -> None:
        """Another denoiser, with the chains that were saved with it."""
        saved = load_tree(Path(key)) if is_run(Path(key)) and key != self.parameters.source else None
        self._change(SampleParameters(key, saved or self.parameters.tree), settle=True)

    def open_folder(self, path: Path) -> None:
        """A run or a model folder from anywhere on the disk."""
        self._extra = tuple(dict.fromkeys((*self._extra, str(path))))
        self.refresh_choices()
        self.choose_source(str(path))

    def model_saved(self, run: Path) -> None:
        """A run has a newer checkpoint; if it is the one that is shown, its chain is computed again."""
        self.refresh_choices()
        if self.parameters.source == str(run):
            self.compute()

    def classifier_trained(self, run: Path) -> None:
        """A run has another classifier; the chain on show is computed again if it may be guided by it."""
        if owner_of(Path(self.parameters.source)) == run:
            self.compute()

    def edit(self, path: str, value: Any) -> None:
        """Changes one parameter of the shown track; one that cannot be gets its sentence."""
        try:
            spec = with_value(self.parameters.spec, path, value)
            if isinstance(spec.sampler, SigmaCurve) and path == "sampler.kind" and self.record is not None:
                spec = self._with_present_sigma(spec)
            tree = self.parameters.tree.with_spec(spec)
            self._check(tree)
        except Refused as error:
            self._update(errors=((path, str(error)),))
            return
        self._change_tree(tree)

    def _with_present_sigma(self, spec: SampleSpec) -> SampleSpec:
        """A curve to draw begins as the σ of the sampler before, where Lemma 3.1 allows it."""
        assert self.record is not None
        source = self.record.chain.source
        noise = step_noise_of(Chain(source, fitting(self.parameters.spec, source), self._cache.device))
        steps = range(0, len(noise.sigma), max(1, len(noise.sigma) // 8))
        low = np.minimum(noise.sigma, noise.ceiling)
        points = {(float(noise.times[k]), round(float(low[k]) * 0.999, 4)) for k in steps}
        return with_value(spec, "sampler.points", tuple(sorted(points)))

    def _check(self, tree: ChainTree) -> None:
        """Raises Refused when the denoiser on show cannot follow these chains."""
        if self.record is None or self.parameters.source != self._source_of_records:
            return
        source, spec = self.record.chain.source, tree.spec_of(tree.active)
        if spec.label != self.parameters.spec.label:  # one that was asked of another denoiser may stand
            Chain(source, spec, self._cache.device).labels()
        check(source, tree, self._cache.device)

    def settle(self) -> None:
        """Ends one edit: the next undo takes back all of it."""
        self._history.settle()
        self._update(can_undo=self._history.can_undo, can_redo=self._history.can_redo)

    def undo(self) -> None:
        self._move(self._history.undo)

    def redo(self) -> None:
        self._move(self._history.redo)

    def _change_tree(self, tree: ChainTree, settle: bool = False) -> None:
        self._change(replace(self.parameters, tree=tree), settle)

    def _change(self, parameters: SampleParameters, settle: bool = False) -> None:
        self._move(lambda: self._history.change(parameters))
        if settle:
            self.settle()

    def _move(self, change: Callable[[], Any]) -> None:
        """Computes the chains again if `change` changes the parameters."""
        before = self.parameters
        change()
        self._show_parameters()
        if self.parameters != before:
            self._show_known()
            self.compute()

    def _show_known(self) -> None:
        """Shows at once what needs no computing: another track, another comparison, another name."""
        tree = self.parameters.tree
        same_source = self._records and self.parameters.source == self._source_of_records
        if same_source and tree.chains == self._shown_tree.chains:
            self._begin(tree, self._records)

    def _show_parameters(self) -> None:
        self._update(
            parameters=self.parameters, errors=(),
            can_undo=self._history.can_undo, can_redo=self._history.can_redo,
        )  # fmt: skip

    # --- branches --------------------------------------------------------------------------------------

    def branch(self) -> None:
        """A branch that leaves the shown track at the shown state; what is changed now acts from there on."""
        if self.record is None:
            return
        leaves = min(self.state.position, self.record.steps - 1)
        self._change_tree(self.parameters.tree.branched(self.record.times[leaves]), settle=True)

    def compare_new(self) -> None:
        """A/B: a second chain with the same start and the same noise, compared with the one on show."""
        if self.record is None:
            return
        tree = self.parameters.tree
        twin = tree.branched(self.record.times[0])
        self._change_tree(twin.comparing(tree.active), settle=True)

    def compare_with(self, track: int) -> None:
        """Compares the shown track with another; −1 ends it."""
        if track >= len(self.parameters.tree.tracks):
            return
        self._change_tree(self.parameters.tree.comparing(track), settle=True)

    def show_track(self, track: int) -> None:
        if track in self.parameters.tree.tracks:
            self._change_tree(self.parameters.tree.showing(track), settle=True)

    def rename_track(self, track: int, name: str) -> None:
        if track in self.parameters.tree.tracks:
            self._change_tree(self.parameters.tree.renamed(track, name), settle=True)

    def delete_track(self, track: int) -> None:
        self._change_tree(self.parameters.tree.without(track), settle=True)

    # --- the chains ------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Computes the chains that the parameters describe; what is shown stays until there is better."""
        parameters, cache, tracks, readable = self.parameters, self._cache, self._tracks, self._readable
        time, view = self._time, self.state.view

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            source, tree = cache.open(parameters.source), parameters.tree
            try:
                readable.check(tree.spec.start.files, source)
            except Refused as error:
                yield ImagesRefused(str(error))
                return
            records = tracks.build(source, tree, cache.device)
            shown = records[tree.active]
            yield TracksBegun(tree, records)
            images = rough_picture(shown, time * source.tables.steps, view)
            if images is not None:
                yield RoughPicture(shown, images)
            first = [shown, *([records[tree.compared]] if tree.compared >= 0 else [])]
            for record in dict.fromkeys((*first, *records)):
                for progress in record.compute():
                    if control.stopped:
                        return
                    yield progress
                yield TrackDone(record, distance_to_end(record))
            if is_run(Path(parameters.source)):
                _save(Path(parameters.source), tree)

        self._source_of_computing = parameters.source
        self._update(busy=True, doing="")
        self._computing.start(stream)

    _source_of_computing = _source_of_records = ""

    def _on_event(self, event: events.Event) -> None:
        match event:
            case TracksBegun(tree=tree, records=records):
                self._begin(tree, records)
                self._to_tell = None
            case RoughPicture(record=record, images=images) if record is self.record:
                if self.state.position >= record.ready:
                    self._rough = images
                    self._show_frame()
            case events.SamplingProgress(doing=doing):
                self._doing = doing
                if not self._progress.isActive():  # many steps are shown at once
                    self._progress.start()
            case TrackDone(record=record, distances=distances):
                self._distances[record] = distances
                self._show_progress("")
                if record in (self.record, self.compared):
                    self._show_all()
                if record is self.record:
                    self.chain_done.emit(record)
            case ImagesRefused(message=message):
                self._update(notice=Notice("error", message))
                self._take_images_back()
            case events.Finished(outcome="failed", message=message, traceback=traceback):
                self._progress.stop()
                self._update(busy=False, doing="", notice=Notice("error", message, traceback))
                if not self._records:
                    self._fall_back()
            case events.Finished():
                self._update(busy=False, doing="")
                self._show_progress("")

    def _take_images_back(self) -> None:
        """Takes back images that cannot be read; chains that were saved with them begin at noise."""
        if not self._records or self.parameters.source != self._source_of_records:
            self._to_tell = self.state.notice
            start = replace(self.parameters, tree=self.parameters.tree.from_noise())
            if self._records:
                self._change(start, settle=True)
            else:
                self._begin_again(start)
            return
        files = self.parameters.tree.spec.start.files
        shown = SampleParameters(self._source_of_records, self._shown_tree)
        self._history.withdraw(lambda value: value.tree.spec.start.files == files, shown)
        self._show_parameters()
        start = self.parameters.tree.spec.start
        if self.parameters != shown and (start.files or start.kind == "noise"):
            self.compute()

    def _fall_back(self) -> None:
        """Shows the digits when what was remembered cannot be computed, so that the page is never empty."""
        digits, tree = memorising_choice(DIGITS).key, self.parameters.tree
        for source, chains in ((digits, tree), (digits, tree.from_noise()), (digits, ChainTree())):
            start = SampleParameters(source, chains)
            if start != self.parameters:
                self._begin_again(start)
                return

    def _begin_again(self, start: SampleParameters) -> None:
        """Takes the place of parameters that never led to a chain."""
        self._history = History(start)
        self._show_parameters()
        self.compute()

    def _begin(self, tree: ChainTree, records: tuple[Trajectory, ...]) -> None:
        fell_back = self.state.notice if not self.state.times else None  # why it is not the wanted denoiser
        self._records, self._shown_tree, self._rough, self._strip_at = records, tree, None, -1
        self._source_of_records = self._source_of_computing
        self._distances = {r: d for r, d in self._distances.items() if r in records}
        record = records[tree.active]
        source = record.chain.source
        tables = source.tables
        position = place_of(record.times, self._time * tables.steps)
        count = record.chain.spec.count
        sample = self.state.sample
        self._update(
            model=source.name, model_step=source.step, exact=source.kind == "memorising",
            learns_variance=source.learns_variance, class_names=record.chain.class_names,
            guided=record.is_guided, total=tables.steps,
            times=record.times, log_snr=tuple(float(tables.log_snr[t]) for t in record.times),
            tracks=self._track_states(), position=position, ready=record.ready,
            step=self._numbers(position), sample=sample if sample is not None and sample < count else None,
            megabytes=sum(r.size for r in records) / 1e6, on_disk=any(r.on_disk for r in records),
            notice=Notice("warning", " ".join(source.notes)) if source.notes else fell_back or self._to_tell,
        )  # fmt: skip
        self.noise_changed.emit(step_noise_of(record.chain))
        self._show_all()

    def _track_states(self) -> tuple[TrackState, ...]:
        tree = self._shown_tree
        return tuple(
            TrackState(tree.label_of(k), record.times, tree.parent_of(k), record.leaves, record.ready)
            for k, record in enumerate(self._records)
        )

    def _show_progress(self, doing: str) -> None:
        self._progress.stop()
        record = self.record
        if record is None:
            return
        tracks = self._track_states()
        if tracks == self.state.tracks and doing == self.state.doing:
            return
        before = self.state.ready
        self._update(ready=record.ready, tracks=tracks, doing=doing)
        if record.ready != before:
            if before <= self.state.position and (record.ready > self.state.position or self._rough is None):
                self._show_frame()
            self._show_curves()
            self._show_strip()

    # --- moving about ----------------------------------------------------------------------------------

    def seek(self, position: int) -> None:
        """Goes to a state; the picture of one that is not computed yet is waited for."""
        record = self.record
        if record is None:
            return
        position = min(max(position, 0), record.steps)
        self._time = record.times[position] / record.chain.source.tables.steps
        if position != self.state.position:
            self._rough = None
        self._update(position=position, step=self._numbers(position))
        self._show_frame()

    def stand_at(self, time: float) -> None:
        """Where to stand in the next chain: t as a share of T, 0 at the image."""
        if math.isfinite(time):
            self._time = min(max(time, 0.0), 1.0)

    @property
    def time(self) -> float:
        """Where the person stands: t as a share of T."""
        return self._time

    def step(self, by: int) -> None:
        self.stop_playing()
        self.seek(self.state.position + by)

    def set_view(self, view: str) -> None:
        if view in VIEWS:
            self._update(view=cast(View, view))
            self._rough, self._strip_at = None, -1
            self._show_frame()
            self._show_strip()

    def set_layout(self, layout: str) -> None:
        """One state of all samples, the whole chain of some, or one state with guidance and without it."""
        self._update(layout=cast(Layout, layout if layout in ("strip", "guided") else "grid"))
        self._show_frame()
        self._show_strip()

    def choose_sample(self, sample: int | None) -> None:
        """Whose curves are drawn; None: the mean of all."""
        self._update(sample=sample)
        self._show_curves()

    def _numbers(self, position: int) -> StepNumbers | None:
        record = self.record
        while record is not None and position < record.leaves:  # a step that is still the parent's
            record = record.parent
        if record is None or position >= record.steps:
            return None
        update, t = record.chain.updates[position - record.leaves], record.times[position]
        gamma = record.chain.spec.gamma(t, record.chain.source.tables.steps) if record.is_guided else None
        return StepNumbers(t, record.times[position + 1], update, gamma)

    def _show_all(self) -> None:
        self._show_frame()
        self._show_curves()
        self._show_strip()

    def _show_frame(self) -> None:
        record = self.record
        if record is None:
            return
        position = self.state.position
        if position < record.ready:
            self._rough = None
            if self.state.layout == "guided":
                self.frame_changed.emit(guided_frame(record, min(position, record.estimates - 1)))
            else:
                self.frame_changed.emit(frame_of(record, position, self.state.view, self.compared))
        elif self._rough is not None:
            self.frame_changed.emit(Frame(self._rough, captions_of(record), rough=True))
        elif record.ready > record.leaves:
            self.frame_changed.emit(frame_of(record, record.ready - 1, self.state.view, None))

    def _show_strip(self) -> None:
        record = self.record
        if self.state.layout != "strip" or record is None:
            return
        known = record.ready if record.is_complete else 10 * record.ready // (record.steps + 1)
        if known != self._strip_at:
            self._strip_at = known
            strip = strip_of(record, self.state.view)
            if strip is not None:
                self.strip_changed.emit(strip)

    def _show_curves(self) -> None:
        record, other = self.record, self.compared
        if record is None:
            return
        apart = None
        if other is not None and record.is_complete and other.is_complete:
            apart = distance_between(record, other)
        self.curves_changed.emit(curves_of(record, self._distances.get(record), apart, self.state.sample))

    # --- playing ---------------------------------------------------------------------------------------

    def _place(self) -> tuple[int, int, bool]:
        record = self.record
        waiting = record is None or self.state.position >= record.ready
        last = 0 if record is None else record.steps if self.state.busy else record.ready - 1
        return self.state.position, last, waiting

    def toggle_playing(self) -> None:
        if self.state.playing:
            self.stop_playing()
        else:
            self.play()

    def play(self, factor: float = 1.0) -> None:
        """Plays from here at `factor` times the speed, backwards when negative."""
        if self.record is not None:
            self._update(playing=True)
            self._player.play(factor)

    def stop_playing(self) -> None:
        self._player.stop()
        self._update(playing=False)

    def set_loop(self, loop: bool) -> None:
        self._player.loop = loop
        self._update(loop=loop)

    def set_speed(self, speed: float) -> None:
        self._player.speed = speed
        self._update(speed=speed)

    # --- images in, pictures out -----------------------------------------------------------------------

    def open_images(self, paths: Sequence[Path]) -> None:
        """Dropped images: settings inside a picture are taken back, others are where chains begin."""
        settings = read_settings(paths[0]) if len(paths) == 1 else None
        if settings is not None and isinstance(settings.get("sample"), dict):
            self._restore(settings)
            return
        try:
            spec = beginning_at(self.parameters.spec, paths)
        except Refused as error:
            self._update(notice=Notice("error", str(error)))
            return
        self._change_tree(self.parameters.tree.showing(0).with_spec(spec), settle=True)

    def _restore(self, settings: dict[str, Any]) -> None:
        """The settings that a picture of ours carries."""
        try:
            tree = settings.get("tree")
            found = validated(ChainTree, tree or {"spec": settings["sample"]})
        except Refused:
            self._update(notice=Notice("error", "The settings in this picture are of another version."))
            return
        source = str(settings.get("source", ""))
        known = source in {choice.key for choice in self.state.choices} or is_there(source)
        if source and not known:
            text = f"{settings.get('model', 'The model')} of this picture is not here; its settings are used."
            self._to_tell = Notice("info", text)
            self._update(notice=self._to_tell)
        if str(settings.get("view")) in VIEWS:
            self.set_view(str(settings["view"]))
        if isinstance(settings.get("time"), float):
            self.stand_at(settings["time"])
        self._change(SampleParameters(source if known else self.parameters.source, found), settle=True)

    def command(self) -> str:
        """The command line that makes the samples of the shown track again; a branch's from its start on."""
        return command_of(self.parameters.source, self.parameters.spec)

    def export(self, path: Path, kind: ExportKind = "state") -> None:
        """Writes what is seen, beside the window; the file's name says how."""
        record, view, position = self.record, self.state.view, self.state.position
        if record is None or self._exporting.busy:
            what = "The export before is not finished yet." if record else "There is no chain yet."
            self._update(notice=Notice("info", what))
            return
        settings = {
            "model": self.state.model, "step": self.state.model_step, "source": self.parameters.source,
            "sample": record.chain.spec.model_dump(mode="json"), "view": view, "position": position,
            "time": self._time, "tree": self._shown_tree.model_dump(mode="json"),
            "command": self.command(),
        }  # fmt: skip
        self._exporting.start(exporting(path, record, view, position, settings, kind))

    def _on_export(self, event: events.Event) -> None:
        if isinstance(event, events.Finished):
            kind = "error" if event.outcome == "failed" else "info"
            self._update(notice=Notice(kind, event.message, event.traceback))

    # --- the rest --------------------------------------------------------------------------------------

    def dismiss_notice(self) -> None:
        if self.state.notice is not None:
            self._update(notice=None)

    def shutdown(self) -> None:
        """Stops everything, waits, and gives the records back."""
        self._player.stop()
        self._progress.stop()
        self._computing.finish(60_000)  # one step of thousands of images takes long
        self._exporting.finish(60_000)
        self._records = ()
        self._tracks.clear()

    def _update(self, **values: Any) -> None:
        self.state = replace(self.state, **values)
        self.changed.emit(self.state)


def _save(run: Path, tree: ChainTree) -> None:
    """Keeps the chains with their run; a folder that cannot be written to is no reason to fail."""
    try:
        if load_tree(run) != tree:
            save_tree(run, tree)
    except OSError:
        pass

"""A chain and the branches that leave it: what a person has built from one denoiser."""

from __future__ import annotations

import errno
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import model_validator

from diffusion_studio.core.describe import Choice, Knob, get_value, knob, knobs, validated
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import number, tr
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.starts import NoiseStart
from diffusion_studio.engine.files.files import write_atomically
from diffusion_studio.engine.files.reading import json_inside

FILE = "chains.json"
ASIDE = "chains.unreadable.json"  # in the run's folder
MOST_BYTES = 4 << 20  # of that file
MOST_BRANCHES = 256


class Branch(Choice):
    """A chain that leaves another one at a state, with anything changed from there on."""

    name: str = knob("", title=tr("name"), help=tr("Empty: what it changes."))
    parent: int = knob(0, title=tr("parent"), help=tr("The track it leaves."), ge=0)
    time: int = knob(1, title=tr("time"), help=tr("t of the state at which it leaves."), ge=1)
    spec: SampleSpec = SampleSpec()


class ChainTree(Choice):
    """The main chain, track 0, and its branches, tracks 1 …; which one is shown and which is compared."""

    spec: SampleSpec = SampleSpec()
    branches: tuple[Branch, ...] = knob(
        (), title=tr("branches"), help=tr("In the order of their making."), max_length=MOST_BRANCHES
    )
    active: int = knob(0, title=tr("shown"), help=tr("The track that is shown and edited."), ge=0)
    compared: int = knob(-1, title=tr("compared"), help=tr("The track it is compared with; −1 none."), ge=-1)

    @model_validator(mode="after")
    def _possible(self) -> ChainTree:
        if any(branch.parent > number for number, branch in enumerate(self.branches)):
            raise Refused(tr("a branch must leave a track that stands before it"))
        if max(self.active, self.compared) > len(self.branches):
            raise Refused(tr("there is no such track"))
        return self

    @property
    def tracks(self) -> range:
        return range(len(self.branches) + 1)

    @property
    def chains(self) -> tuple[object, ...]:
        """What is computed, whatever it is called and whichever of it is shown."""
        return self.spec, *((branch.parent, branch.time, branch.spec) for branch in self.branches)

    def spec_of(self, track: int) -> SampleSpec:
        """Of a branch as well; where chains begin, and how many, is the main chain's to say."""
        if track == 0:
            return self.spec
        shared = {"start": self.spec.start, "count": self.spec.count}
        return self.branches[track - 1].spec.model_copy(update=shared)

    def parent_of(self, track: int) -> int:
        """The track that `track` leaves; −1 for the main chain."""
        return -1 if track == 0 else self.branches[track - 1].parent

    @property
    def labels(self) -> tuple[str, ...]:
        """Of each track the name that was given to it, or what it changes; no two are called the same."""
        said = [self._said_of(track) for track in self.tracks]
        return tuple(
            label if said.index(label) == track else tr("{label} · branch {track}", label=label, track=track)
            for track, label in enumerate(said)
        )

    def label_of(self, track: int) -> str:
        """What one track is called."""
        return self.labels[track]

    def _said_of(self, track: int) -> str:
        if track == 0:
            return tr("main chain")
        branch = self.branches[track - 1]
        return (
            branch.name
            or changes(self.spec_of(branch.parent), branch.spec)
            or tr("branch {track}", track=track)
        )

    def with_spec(self, spec: SampleSpec) -> ChainTree:
        """Another spec for the track that is shown."""
        if self.active == 0:
            return self.model_copy(update={"spec": spec})
        return self._with_branch(self.active, spec=spec)

    def from_noise(self) -> ChainTree:
        """With a main chain that begins at noise, whatever images it began at."""
        start = {"start": NoiseStart()}
        branches = tuple(
            branch.model_copy(update={"spec": branch.spec.model_copy(update=start)})
            for branch in self.branches
        )
        return self.model_copy(update={"spec": self.spec.model_copy(update=start), "branches": branches})

    def branched(self, time: int) -> ChainTree:
        """A new branch of the shown track, leaving at `time`, and shown from now on.

        Where the shown track is at `time` still one with its parent, the parent is left.

        Raises:
            Refused: there are as many as can be.
        """
        if len(self.branches) >= MOST_BRANCHES:
            raise Refused(
                tr(
                    "A chain can have {most} branches; delete one that is not needed any more.",
                    most=MOST_BRANCHES,
                )
            )
        parent = self.active
        while parent and time > self.branches[parent - 1].time:
            parent = self.branches[parent - 1].parent
        new = Branch(parent=parent, time=time, spec=self.spec_of(self.active))
        branches = (*self.branches, new)
        return self.model_copy(update={"branches": branches, "active": len(branches)})

    def without(self, track: int) -> ChainTree:
        """Without a branch and all that leave it; the main chain stays."""
        if track == 0:
            return self
        gone = {track}
        for other in range(track + 1, len(self.branches) + 1):
            if self.parent_of(other) in gone:
                gone.add(other)
        left = [other for other in self.tracks if other not in gone]
        place = {other: k for k, other in enumerate(left)}
        branches = tuple(
            self.branches[other - 1].model_copy(update={"parent": place[self.parent_of(other)]})
            for other in left[1:]
        )
        shown = self.active
        while shown in gone:
            shown = self.parent_of(shown)
        compared = place.get(self.compared, -1)
        active = place[shown]
        return ChainTree(
            spec=self.spec, branches=branches, active=active, compared=-1 if compared == active else compared
        )

    def renamed(self, track: int, name: str) -> ChainTree:
        return self if track == 0 else self._with_branch(track, name=name.strip())

    def showing(self, track: int) -> ChainTree:
        """With another track shown; the one compared with changes places with it where they are the same."""
        compared = self.active if track == self.compared else self.compared
        return self.model_copy(update={"active": track, "compared": compared})

    def comparing(self, track: int) -> ChainTree:
        """Compared with `track`; −1 or the shown one end it."""
        return self.model_copy(update={"compared": -1 if track == self.active else track})

    def _with_branch(self, track: int, **values: object) -> ChainTree:
        branches = list(self.branches)
        branches[track - 1] = branches[track - 1].model_copy(update=values)
        return self.model_copy(update={"branches": tuple(branches)})


@lru_cache(maxsize=4 * MOST_BRANCHES)
def changes(before: SampleSpec, after: SampleSpec) -> str:
    """In what one spec differs from another: "Heun · seed 3".

    It is asked for at every look at a tree, and takes milliseconds to find out.
    """
    found = []
    known = {k.path: get_value(before, k.path) for k in knobs(before)}
    for k in knobs(after):
        value = get_value(after, k.path)
        if k.path.startswith(("start", "count")) or known.get(k.path, object()) == value:
            continue
        if k.type == "family":
            found.append(type(get_value(after, k.path.removesuffix(".kind"))).title)
        elif k.type in ("points", "files", "numbers"):
            found.append(k.symbol or k.title)
        elif k.path in known or value != k.default:
            found.append(_said(k, value))
    return " · ".join(found)


def _said(knob: Knob, value: Any) -> str:
    """ "η = 0.5", or "zero SNR at T off"."""
    if isinstance(value, bool):
        state = tr("on") if value else tr("off")
        return f"{knob.title} {state}"
    words = dict(knob.options).get(value) if knob.options else None
    text = words or (number(value, ".3g") if isinstance(value, float) else str(value))
    return f"{knob.symbol or knob.title} = {text}"


def save_tree(run: Path, tree: ChainTree) -> None:
    """Writes the chains of a run beside it.

    Raises:
        OSError: it cannot be written.
    """
    data = json.dumps(tree.model_dump(mode="json"), indent=1).encode()
    if len(data) > MOST_BYTES:
        raise OSError(errno.EFBIG, tr("the chains begin at too many images to be kept"), str(run / FILE))
    write_atomically(run / FILE, data)


def load_tree(run: Path) -> ChainTree | None:
    """The chains that were saved with a run; None when there are none.

    Raises:
        Refused: they cannot be read, or not by this version; the message is a sentence for a person.
    """
    try:
        return validated(ChainTree, json_inside(run, FILE, MOST_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, Refused) as error:
        reason = str(error.strerror or error) if isinstance(error, OSError) else str(error)
        raise Refused(
            tr(
                "The chains saved with {run} cannot be read: {reason}.",
                run=run.name,
                reason=reason.rstrip("."),
            )
        ) from None


def set_aside(run: Path) -> None:
    """Gives chains that cannot be read another name, so that new ones do not take their place.

    Raises:
        OSError: it cannot be done.
    """
    (run / FILE).replace(run / ASIDE)

"""The table of all actions and keys: what each is called, does, and where it holds. Nothing else lists them.

Menu bar, sheet of keys, palette and tooltips are made from it. A page says with `Page.acts` how it does those
that hold on it; the keys of single widgets, which act where the focus is, stand in `FOCUS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MENUS = ("File", "Edit", "View", "Run", "Help")
CHAINS = ("sample", "plane")  # the pages with a transport
TOURED = ("train", "sample", "plane", "autoencoder", "theory")  # the pages with a tour


@dataclass(frozen=True)
class Action:
    """One thing that a person can do."""

    name: str  # by which a page says how it is done
    title: str  # in menus, in the palette and on the sheet of keys
    what: str  # it does, as a sentence without a full stop
    keys: tuple[str, ...] = ()  # as Qt writes them; the first one is shown
    repeats: bool = False  # while its key is held


@dataclass(frozen=True)
class Group:
    """Actions that stand together in a menu, and where they hold."""

    menu: str
    actions: tuple[Action, ...]
    pages: tuple[str, ...] = ()  # () is everywhere


@dataclass(frozen=True)
class FocusKeys:
    """The keys of a widget, which it takes itself while it has the focus."""

    where: str
    module: str  # that reads them, inside the package
    keys: tuple[tuple[tuple[str, ...], str], ...]  # (keys, what they do)


GROUPS = (
    Group("File", (
        Action("open-images", "Open images …", "A folder of images to train on", ("Ctrl+O",)),
        Action("open-model", "Open a run or a model …", "A run or a folder of diffusers, to sample from",
               ("Ctrl+Shift+O",)),
    )),
    Group("File", (
        Action("open-state", "Open a state …", "A page as somebody saved it, or as a picture was exported"),
        Action("save-state", "Save the state of this page …", "A small file that restores the whole page",
               ("Ctrl+S",)),
    )),
    Group("File", (
        Action("runs-folder", "Show the folder of runs", "Opens the folder in which trainings are kept"),
    )),
    Group("File", (
        Action("settings", "Settings …", "Colours, text size, motion, device, threads, folders", ("Ctrl+,",)),
    )),
    Group("File", (
        Action("quit", "Quit", "Saves what is going on and closes the window", ("Ctrl+Q",)),
    )),
    Group("Edit", (
        Action("undo", "Undo", "Takes back the last change of a parameter", ("Ctrl+Z",)),
        Action("redo", "Redo", "Makes it again", ("Ctrl+Shift+Z", "Ctrl+Y")),
    )),
    Group("Edit", (
        Action("defaults", "Everything to default", "All parameters of this page as at the first start"),
    ), ("train", "sample", "plane", "autoencoder")),
    Group("Edit", (
        Action("save-preset", "Save as a preset …", "All parameters but the images, under a name of yours"),
    ), ("train",)),
    Group("Edit", (
        Action("copy-command", "Copy the command line", "The command that does this without a window"),
    ), ("train", "sample")),
    Group("View", (
        Action("enlarge", "Enlarge, or put back", "What is under the pointer, over the whole page", ("F11",)),
    )),
    Group("View", (
        Action("view-x0_hat", "Show x̂₀", "The estimate of the finished image at this step", ("X",)),
        Action("view-x_t", "Show x_t", "The state of the chain: image and noise", ("T",)),
        Action("view-eps_hat", "Show ε̂", "The estimate of the noise at this step", ("E",)),
        Action("view-score", "Show the score s",
               "The estimated score, −ε̂/√(1−ᾱ): the way to where images are likely", ("S",)),
        Action("view-noise", "Show the fresh noise z", "The fresh noise that this step adds", ("N",)),
        Action("view-change", "Show the change Δ", "What this step changes: x_s − x_t", ("D",)),
        Action("view-forward", "Show the forward process q",
               "The forward process: your image, or the finished one, noised to this t", ("F",)),
        Action("view-guidance", "Show what guidance adds",
               "What guidance adds to ε̂ for each unit of γ: ε̂(y) − ε̂(∅)", ("G",)),
    ), ("sample",)),
    Group("View", (
        Action("field-exact", "Exact score", "The score in closed form", ("1",)),
        Action("field-learned", "Learned score",
               "The score that the small network has learned; particles follow it too", ("2",)),
        Action("field-error", "Error of the learned score",
               "Where the learned score errs: the Fisher divergence, cell by cell, Luo eq. 157", ("3",)),
    ), ("plane",)),
    Group("View", (
        Action("zoom-in", "Closer", "A smaller part of the plane", ("+", "="), True),
        Action("zoom-out", "Farther", "A larger part of the plane", ("-",), True),
        Action("next-mode", "Next mode", "Chooses the next mode of the mixture; the arrow keys move it",
               ("M",)),
    ), ("plane",)),
    Group("View", (
        Action("theme-light", "Light", "Light colours"),
        Action("theme-dark", "Dark", "Dark colours"),
        Action("theme-system", "Colours of the system", "Light or dark, as the system is"),
    )),
    Group("Run", (
        Action("start", "Start", "Begins a new training with these parameters", ("Ctrl+Return",)),
        Action("pause", "Pause or go on", "Rests with the network in memory, or goes on", ("Ctrl+P",)),
        Action("stop", "Stop and save", "Ends the training; what was learned stays", ("Ctrl+.",)),
    ), ("train", "plane", "autoencoder")),
    Group("Run", (
        Action("queue-run", "Into the queue", "A training with these parameters, after those before it",
               ("Ctrl+Shift+Return",)),
    ), ("train",)),
    Group("Run", (
        Action("show-queue", "Show the queue", "Trainings that wait for their turn"),
    ), ("train", "runs")),
    Group("Run", (
        Action("walk-run", "Walk through its chain", "Samples from the run that is shown, step by step"),
        Action("resume-run", "Resume its training", "Goes on with the run that is shown"),
    ), ("train", "runs")),
    Group("Run", (
        Action("show-run", "Show its curves", "The losses and samples of the chosen run"),
        Action("trash-run", "Move it to the trash", "The chosen run goes to the trash, and can be put back"),
        Action("run-again", "New run like it", "The settings of the shown run, for a new one"),
        Action("open-runs", "Open runs elsewhere …", "A run, or a folder of runs, anywhere on the disk"),
        Action("leave-run", "Take it off the list", "A run of elsewhere; on the disk nothing changes"),
        Action("filter-runs", "Find among runs", "Words that stand in a run's name, tags, note, kind or data",
               ("Ctrl+F",)),
        Action("rename-run", "Rename it", "What the shown run is called; its folder keeps its name", ("F2",)),
        Action("tag-run", "Tag it", "Tags of the chosen runs, between commas; of several, those of all"),
        Action("note-run", "Write a note", "A note about the shown run; it lies in the run's folder",
               ("Ctrl+E",)),
        Action("star-run", "Star it", "Gives the chosen runs a star, or takes it away", ("Ctrl+D",)),
        Action("show-trash", "Show the trash", "What lies in the trash, to be put back or deleted for good"),
    ), ("runs",)),
    Group("Run", (
        Action("play", "Play or pause", "Plays the chain, or holds it", ("Space",)),
        Action("backwards", "Play backwards", "Plays towards the noise; again for twice the speed", ("J",)),
        Action("hold", "Hold", "Stops playing", ("K",)),
        Action("forwards", "Play forwards", "Plays towards the image; again for twice the speed", ("L",)),
    ), CHAINS),
    Group("Run", (
        Action("step-on", "One step on", "One step towards the end of the chain", ("Right",), True),
        Action("step-back", "One step back", "One step towards its beginning", ("Left",), True),
        Action("ten-on", "Ten steps on", "Ten steps towards the end of the chain", ("Up",), True),
        Action("ten-back", "Ten steps back", "Ten steps towards its beginning", ("Down",), True),
        Action("to-first", "To the beginning", "To the first state of the chain: noise", ("Home",)),
        Action("to-last", "To the end", "To the last state of the chain: the image", ("End",)),
    ), CHAINS),
    Group("Run", (
        Action("branch", "Branch from here",
               "A second future from this step on: then change the sampler, σ, τ, the class or the seed",
               ("B",)),
        Action("compare", "Compare A and B, or end it",
               "A second chain with the same start and the same noise, beside this one with their difference",
               ("C",)),
    ), ("sample",)),
    Group("Help", (
        Action("find", "Find anything …", "Actions, pages, runs and samplers by their names", ("Ctrl+K",)),
        Action("keys", "All keys", "A sheet of every key and shortcut, and where it holds", ("F1", "?")),
    )),
    Group("Help", (
        Action("log", "Show the log", "What was not meant to happen, with its traceback"),
        Action("about", "About Diffusion Studio", "Versions, devices and folders"),
    )),
)  # fmt: skip

FOCUS = (
    FocusKeys("On what is enlarged", "widgets/frame/enlarge", ((("Esc",), "Back to its place"),)),
    FocusKeys("On the timeline", "widgets/chain/timeline", (
        (("PgUp", "PgDown"), "Another track"), (("F2",), "Name the branch"), (("Del",), "Delete the branch"),
    )),
    FocusKeys("On the plane", "widgets/plane/hand", (
        (("Left", "Right", "Up", "Down"), "Move the chosen mode"), (("Del", "Backspace"), "Remove it"),
        (("Esc",), "Choose none"),
    )),
    FocusKeys("In the editors of σ, τ and γ", "widgets/editors/points", (
        (("Left", "Right", "Up", "Down"), "Move the chosen point; ten times as far with Shift"),
        (("Ins",), "Add a point"), (("Del", "Backspace"), "Remove it"), (("Esc",), "Choose none"),
    )),
    FocusKeys("On a σ that follows a rule", "widgets/editors/sigma_editor", (
        (("Return", "Enter"), "Draw it by hand"),
    )),
    FocusKeys("On a curve by hand", "widgets/editors/curve_editor", (
        (("Left", "Right"), "Choose a point"), (("Up", "Down"), "Move it"),
    )),
    FocusKeys("Among pictures", "widgets/images/grid", (
        (("Left", "Right", "Up", "Down"), "Choose a picture"),
    )),
    FocusKeys("Among images that were brought", "widgets/images/drop", (
        (("Left", "Right"), "Choose an image"), (("Del", "Backspace"), "Take it away"),
    )),
    FocusKeys("On the plane of codes", "widgets/codes/plane", (
        (("Left", "Right", "Up", "Down"), "Look at the code beside"),
    )),
    FocusKeys("On the landscape", "widgets/plane/surface", (
        (("Left", "Right", "Up", "Down"), "Turn and tilt it"),
    )),
    FocusKeys("On a choice of words", "widgets/forms/segmented", (
        (("Left", "Up"), "The one before"), (("Right", "Down"), "The next one"),
    )),
    FocusKeys("In a field of numbers", "widgets/forms/controls", (
        (("Up", "Down"), "One step more or less; ten with Shift"), (("PgUp", "PgDown"), "Ten steps"),
        (("Esc",), "The value that stood there"),
    )),
    FocusKeys("In a field of words", "widgets/forms/texts", (
        (("Esc",), "The words that stood there; none, in one to find with"),
    )),
    FocusKeys("On the rail", "widgets/frame/rail", ((("Up", "Down"), "The page above or below"),)),
    FocusKeys("In a table of a plot", "widgets/plots/table", ((("Ctrl+C",), "Copy the table"),)),
    FocusKeys("In a list", "widgets/frame/table_menu", ((("Ctrl+C",), "Copy its rows"),)),
    FocusKeys("In the palette", "widgets/frame/palette", (
        (("Up", "Down"), "The entry above or below"), (("PgUp", "PgDown"), "Nine entries"),
        (("Return", "Enter"), "Do it"), (("Esc",), "Leave it"),
    )),
    FocusKeys("On a button", "widgets/actions/keyboard", ((("Return", "Enter"), "Press it"),)),
)  # fmt: skip


def page_group(pages: Sequence[tuple[str, str]]) -> Group:
    """The actions that lead to the pages (key, title), in their order."""
    return Group("View", tuple(
        Action(f"page-{key}", title, f"Goes to {title}", (f"Ctrl+{number}",))
        for number, (key, title) in enumerate(pages, start=1)
    ))  # fmt: skip


def tour_group(pages: Sequence[tuple[str, str]]) -> Group:
    """The actions that begin the tours of the pages (key, title)."""
    return Group("Help", tuple(
        Action(f"tour-{key}", f"Tour of {title}", f"Cards that set {title} and say what to look at")
        for key, title in pages if key in TOURED
    ))  # fmt: skip


def with_pages(pages: Sequence[tuple[str, str]]) -> tuple[Group, ...]:
    """The whole table, for a window with these pages; they stand first in View, their tours in Help."""
    view, told = (next(n for n, g in enumerate(GROUPS) if g.menu == menu) for menu in ("View", "Help"))
    return (
        *GROUPS[:view], page_group(pages), *GROUPS[view:told + 1], tour_group(pages), *GROUPS[told + 1:],
    )  # fmt: skip


def action(name: str) -> Action:
    """The action of that name.

    Raises:
        KeyError: there is none.
    """
    return _BY_NAME[name]


_BY_NAME = {action.name: action for group in GROUPS for action in group.actions}

"""The table of all actions and keys: what each is called, does, and where it holds. Nothing else lists them.

Menu bar, sheet of keys, palette and tooltips are made from it. A page says with `Page.acts` how it does those
that hold on it; the keys of single widgets, which act where the focus is, stand in `FOCUS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from diffusion_studio.core.words import tr, trc

MENUS = {
    "File": tr("File"), "Edit": tr("Edit"), "View": tr("View"), "Run": trc("menu", "Run"), "Help": tr("Help"),
}  # fmt: skip
"""The titles of the menus by the words that groups name them with."""
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
        Action("open-images", tr("Open images …"), tr("A folder of images to train on"), ("Ctrl+O",)),
        Action("open-model", tr("Open a run or a model …"),
               tr("A run or a folder of diffusers, to sample from"), ("Ctrl+Shift+O",)),
    )),
    Group("File", (
        Action("open-state", tr("Open a state …"),
               tr("A page as somebody saved it, or as a picture was exported")),
        Action("save-state", tr("Save the state of this page …"),
               tr("A small file that restores the whole page"), ("Ctrl+S",)),
    )),
    Group("File", (
        Action("runs-folder", tr("Show the folder of runs"),
               tr("Opens the folder in which trainings are kept")),
    )),
    Group("File", (
        Action("settings", tr("Settings …"), tr("Colours, text size, motion, device, threads, folders"),
               ("Ctrl+,",)),
    )),
    Group("File", (
        Action("quit", tr("Quit"), tr("Saves what is going on and closes the window"), ("Ctrl+Q",)),
    )),
    Group("Edit", (
        Action("undo", tr("Undo"), tr("Takes back the last change of a parameter"), ("Ctrl+Z",)),
        Action("redo", tr("Redo"), tr("Makes it again"), ("Ctrl+Shift+Z", "Ctrl+Y")),
    )),
    Group("Edit", (
        Action("defaults", tr("Everything to default"),
               tr("All parameters of this page as at the first start")),
    ), ("train", "sample", "plane", "autoencoder")),
    Group("Edit", (
        Action("save-preset", tr("Save as a preset …"),
               tr("All parameters but the images, under a name of yours")),
    ), ("train",)),
    Group("Edit", (
        Action("copy-command", tr("Copy the command line"),
               tr("The command that does this without a window")),
    ), ("train", "sample")),
    Group("View", (
        Action("enlarge", tr("Enlarge, or put back"), tr("What is under the pointer, over the whole page"),
               ("F11",)),
    )),
    Group("View", (
        Action("view-x0_hat", tr("Show x̂₀"), tr("The estimate of the finished image at this step"), ("X",)),
        Action("view-x_t", tr("Show xₜ"), tr("The state of the chain: image and noise"), ("T",)),
        Action("view-eps_hat", tr("Show ε̂"), tr("The estimate of the noise at this step"), ("E",)),
        Action("view-score", tr("Show the score s"),
               tr("The estimated score, −ε̂/√(1−ᾱ): the way to where images are likely"), ("S",)),
        Action("view-noise", tr("Show the fresh noise z"), tr("The fresh noise that this step adds"), ("N",)),
        Action("view-change", tr("Show the change Δ"), tr("What this step changes: xₛ − xₜ"), ("D",)),
        Action("view-forward", tr("Show the forward process q"),
               tr("The forward process: your image, or the finished one, noised to this t"), ("F",)),
        Action("view-guidance", tr("Show what guidance adds"),
               tr("What guidance adds to ε̂ for each unit of γ: ε̂(y) − ε̂(∅)"), ("G",)),
    ), ("sample",)),
    Group("View", (
        Action("field-exact", tr("Exact score"), tr("The score in closed form"), ("1",)),
        Action("field-learned", tr("Learned score"),
               tr("The score that the small network has learned; particles follow it too"), ("2",)),
        Action("field-error", tr("Error of the learned score"),
               tr("Where the learned score errs: the Fisher divergence, cell by cell, Luo eq. 157"), ("3",)),
    ), ("plane",)),
    Group("View", (
        Action("zoom-in", tr("Closer"), tr("A smaller part of the plane"), ("+", "="), True),
        Action("zoom-out", tr("Farther"), tr("A larger part of the plane"), ("-",), True),
        Action("next-mode", tr("Next mode"),
               tr("Chooses the next mode of the mixture; the arrow keys move it"), ("M",)),
    ), ("plane",)),
    Group("View", (
        Action("theme-light", tr("Light"), tr("Light colours")),
        Action("theme-dark", tr("Dark"), tr("Dark colours")),
        Action("theme-system", tr("Colours of the system"), tr("Light or dark, as the system is")),
    )),
    Group("Run", (
        Action("start", tr("Start"), tr("Begins a new training with these parameters"), ("Ctrl+Return",)),
        Action("pause", tr("Pause or go on"), tr("Rests with the network in memory, or goes on"),
               ("Ctrl+P",)),
        Action("stop", tr("Stop and save"), tr("Ends the training; what was learned stays"), ("Ctrl+.",)),
    ), ("train", "plane", "autoencoder")),
    Group("Run", (
        Action("queue-run", tr("Into the queue"),
               tr("A training with these parameters, after those before it"), ("Ctrl+Shift+Return",)),
    ), ("train",)),
    Group("Run", (
        Action("show-queue", tr("Show the queue"), tr("Trainings that wait for their turn")),
    ), ("train", "runs")),
    Group("Run", (
        Action("walk-run", tr("Walk through its chain"),
               tr("Samples from the run that is shown, step by step")),
        Action("resume-run", tr("Resume its training"), tr("Goes on with the run that is shown")),
    ), ("train", "runs")),
    Group("Run", (
        Action("show-run", tr("Show its curves"), tr("The losses and samples of the chosen run")),
        Action("trash-run", tr("Move it to the trash"),
               tr("The chosen run goes to the trash, and can be put back")),
        Action("run-again", tr("New run like it"), tr("The settings of the shown run, for a new one")),
        Action("open-runs", tr("Open runs elsewhere …"),
               tr("A run, or a folder of runs, anywhere on the disk")),
        Action("leave-run", tr("Take it off the list"),
               tr("A run of elsewhere; on the disk nothing changes")),
        Action("filter-runs", tr("Find among runs"),
               tr("Words that stand in a run's name, tags, note, kind or data"), ("Ctrl+F",)),
        Action("rename-run", tr("Rename it"), tr("What the shown run is called; its folder keeps its name"),
               ("F2",)),
        Action("tag-run", tr("Tag it"),
               tr("Tags of the chosen runs, between commas; of several, those of all")),
        Action("note-run", tr("Write a note"), tr("A note about the shown run; it lies in the run's folder"),
               ("Ctrl+E",)),
        Action("star-run", tr("Star it"), tr("Gives the chosen runs a star, or takes it away"), ("Ctrl+D",)),
        Action("show-trash", tr("Show the trash"),
               tr("What lies in the trash, to be put back or deleted for good")),
    ), ("runs",)),
    Group("Run", (
        Action("play", tr("Play or pause"), tr("Plays the chain, or holds it"), ("Space",)),
        Action("backwards", tr("Play backwards"), tr("Plays towards the noise; again for twice the speed"),
               ("J",)),
        Action("hold", tr("Hold"), tr("Stops playing"), ("K",)),
        Action("forwards", tr("Play forwards"), tr("Plays towards the image; again for twice the speed"),
               ("L",)),
    ), CHAINS),
    Group("Run", (
        Action("step-on", tr("One step on"), tr("One step towards the end of the chain"), ("Right",), True),
        Action("step-back", tr("One step back"), tr("One step towards its beginning"), ("Left",), True),
        Action("ten-on", tr("Ten steps on"), tr("Ten steps towards the end of the chain"), ("Up",), True),
        Action("ten-back", tr("Ten steps back"), tr("Ten steps towards its beginning"), ("Down",), True),
        Action("to-first", tr("To the beginning"), tr("To the first state of the chain: noise"), ("Home",)),
        Action("to-last", tr("To the end"), tr("To the last state of the chain: the image"), ("End",)),
    ), CHAINS),
    Group("Run", (
        Action("branch", tr("Branch from here"),
               tr("A second future from this step on: then change the sampler, σ, τ, the class or the seed"),
               ("B",)),
        Action("compare", tr("Compare A and B, or end it"),
               tr("A second chain with the same start and the same noise, "
                  "beside this one with their difference"),
               ("C",)),
    ), ("sample",)),
    Group("Help", (
        Action("find", tr("Find anything …"), tr("Actions, pages, runs and samplers by their names"),
               ("Ctrl+K",)),
        Action("keys", tr("All keys"), tr("A sheet of every key and shortcut, and where it holds"),
               ("F1", "?")),
    )),
    Group("Help", (
        Action("log", tr("Show the log"), tr("What was not meant to happen, with its traceback")),
        Action("about", tr("About Diffusion Studio"), tr("Versions, devices and folders")),
    )),
)  # fmt: skip

FOCUS = (
    FocusKeys(tr("On what is enlarged"), "widgets/frame/enlarge", ((("Esc",), tr("Back to its place")),)),
    FocusKeys(tr("On the timeline"), "widgets/chain/timeline", (
        (("PgUp", "PgDown"), tr("Another track")), (("F2",), tr("Name the branch")),
        (("Del",), tr("Delete the branch")),
    )),
    FocusKeys(tr("On the plane"), "widgets/plane/hand", (
        (("Left", "Right", "Up", "Down"), tr("Move the chosen mode")),
        (("Del", "Backspace"), tr("Remove it")), (("Esc",), tr("Choose none")),
    )),
    FocusKeys(tr("In the editors of σ, τ and γ"), "widgets/editors/points", (
        (("Left", "Right", "Up", "Down"), tr("Move the chosen point; ten times as far with Shift")),
        (("Ins",), tr("Add a point")), (("Del", "Backspace"), tr("Remove it")),
        (("Esc",), tr("Choose none")),
    )),
    FocusKeys(tr("On a σ that follows a rule"), "widgets/editors/sigma_editor", (
        (("Return", "Enter"), tr("Draw it by hand")),
    )),
    FocusKeys(tr("On a curve by hand"), "widgets/editors/curve_editor", (
        (("Left", "Right"), tr("Choose a point")), (("Up", "Down"), tr("Move it")),
    )),
    FocusKeys(tr("Among pictures"), "widgets/images/grid", (
        (("Left", "Right", "Up", "Down"), tr("Choose a picture")),
    )),
    FocusKeys(tr("Among images that were brought"), "widgets/images/drop", (
        (("Left", "Right"), tr("Choose an image")), (("Del", "Backspace"), tr("Take it away")),
    )),
    FocusKeys(tr("On the plane of codes"), "widgets/codes/plane", (
        (("Left", "Right", "Up", "Down"), tr("Look at the code beside")),
    )),
    FocusKeys(tr("On the landscape"), "widgets/plane/surface", (
        (("Left", "Right", "Up", "Down"), tr("Turn and tilt it")),
    )),
    FocusKeys(tr("On a choice of words"), "widgets/forms/segmented", (
        (("Left", "Up"), tr("The one before")), (("Right", "Down"), tr("The next one")),
    )),
    FocusKeys(tr("In a field of numbers"), "widgets/forms/value_edit", (
        (("Up", "Down"), tr("One step more or less; ten with Shift")), (("PgUp", "PgDown"), tr("Ten steps")),
        (("Esc",), tr("The value that stood there")),
    )),
    FocusKeys(tr("In a field of words"), "widgets/forms/texts", (
        (("Esc",), tr("The words that stood there; none, in one to find with")),
    )),
    FocusKeys(tr("On the rail"), "widgets/frame/rail", ((("Up", "Down"), tr("The page above or below")),)),
    FocusKeys(tr("In a table of a plot"), "widgets/plots/table", ((("Ctrl+C",), tr("Copy the table")),)),
    FocusKeys(tr("In a list"), "widgets/frame/table_menu", ((("Ctrl+C",), tr("Copy its rows")),)),
    FocusKeys(tr("In the palette"), "widgets/frame/palette", (
        (("Up", "Down"), tr("The entry above or below")), (("PgUp", "PgDown"), tr("Nine entries")),
        (("Return", "Enter"), tr("Do it")), (("Esc",), tr("Leave it")),
    )),
    FocusKeys(tr("On a button"), "widgets/actions/keyboard", ((("Return", "Enter"), tr("Press it")),)),
)  # fmt: skip


def page_group(pages: Sequence[tuple[str, str]]) -> Group:
    """The actions that lead to the pages (key, title), in their order."""
    return Group("View", tuple(
        Action(f"page-{key}", title, tr("Goes to {title}", title=title), (f"Ctrl+{number}",))
        for number, (key, title) in enumerate(pages, start=1)
    ))  # fmt: skip


def tour_group(pages: Sequence[tuple[str, str]]) -> Group:
    """The actions that begin the tours of the pages (key, title)."""
    return Group("Help", tuple(
        Action(f"tour-{key}", tr("Tour of {title}", title=title),
               tr("Cards that set {title} and say what to look at", title=title))
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

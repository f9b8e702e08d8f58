"""Images that come in and pictures that go out of the Sample page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from diffusion_studio.core.describe import with_value
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.chains.export import ExportKind, save_trajectory
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.chains.views import View
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.viewmodels.job import Post, Stream


def beginning_at(spec: SampleSpec, paths: Sequence[Path]) -> SampleSpec:
    """The chain with these images at its beginning: inverted, unless it begins at images already.

    Raises:
        Refused: more images than chains can be; the message is a sentence.
    """
    start = spec.start
    spec = with_value(spec, "start.kind", start.kind if start.kind != "noise" else "inverted")
    spec = with_value(spec, "start.images", tuple(map(str, paths)))
    if start.kind == "noise":
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
            raise Refused(f"{path} could not be written: {error.strerror or error}.") from error
        yield events.Finished("done", f"Saved {path}.")

    return stream

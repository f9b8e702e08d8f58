"""A run for others: its model as a folder, its network alone, or its training as a film."""

from __future__ import annotations

from pathlib import Path

from diffusion_studio.core.words import tr
from diffusion_studio.engine.evaluation.exported_film import export_film
from diffusion_studio.engine.evaluation.exported_model import export_model
from diffusion_studio.engine.evaluation.exported_network import ONNX, check_onnx, export_network
from diffusion_studio.engine.files.pictures import ANIMATIONS
from diffusion_studio.engine.runs.run import Run


def is_file(target: Path) -> bool:
    """Whether `export_run` writes one file there, and no folder."""
    return target.suffix.lower() in (ONNX, *ANIMATIONS)


def export_run(path: Path, target: Path) -> tuple[str, ...]:
    """Writes what the name says: .onnx the network, .gif, .webp, .apng or .mp4 the training, else a folder.

    Returns:
        Sentences about what a person should know.

    Raises:
        Refused: it cannot be exported; the message is a sentence for a person.
        OSError: it cannot be written.
    """
    match target.suffix.lower():
        case suffix if suffix in ANIMATIONS:
            return export_film(path, target)
        case suffix if suffix == ONNX:
            check_onnx()
            checkpoint, notes = Run.open(path).newest_checkpoint()
            apart = export_network(checkpoint, target)
            return (
                *notes,
                tr("Run by onnxruntime, it differs from torch by {apart:.0e} at most.", apart=apart),
            )
        case _:
            return export_model(path, target)

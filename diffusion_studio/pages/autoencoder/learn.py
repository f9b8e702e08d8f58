"""What is learned, live: both terms, the latents, reconstructions beside originals, samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QSplitter, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.autoencoder.events import Looked
from diffusion_studio.engine.autoencoder.measures import ACTIVE
from diffusion_studio.engine.runs.autoencoder_config import HVAEConfig
from diffusion_studio.viewmodels.autoencoder.measuring import MeasuredState
from diffusion_studio.viewmodels.autoencoder.record import CodeRecord
from diffusion_studio.widgets.codes.bars import LatentBars
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.frame.scrolling import Paragraph
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.look.theme import subscripts, tabular, unbroken
from diffusion_studio.widgets.plots import Line, XYPlot
from diffusion_studio.widgets.plots.math import power_text, with_minus_signs

COLUMNS = 8  # of pictures


class LearnView(QSplitter):
    """Curves on the left, pictures on the right."""

    def __init__(self, record: CodeRecord, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._record = record
        self.terms = XYPlot(tr("Both terms"))
        self.terms.spare_the_training()
        self.terms.set_axes(tr("step"), tr("nats per image"))
        self.terms.set_empty_text(tr("Both terms appear here as it learns."))
        self.bars = LatentBars()
        self.bars.set_empty_text(tr("What each latent carries. A plain autoencoder has no KL."))
        self.measure, self.facts = QPushButton(tr("Measure")), Paragraph("small")
        self.measure.setToolTip(tr("The bound in bits per dimension, and its gap to log p(x)"))
        self.facts.setFont(tabular(self.facts.font()))
        self.facts.setVisible(False)
        self.pairs = ImageGrid(tr("Originals, and what comes back"), selectable=False)
        self.samples = ImageGrid(tr("Decoded from N(0, I)"), selectable=False)
        for grid in (self.pairs, self.samples):
            grid.set_columns(COLUMNS)
        self.pairs.set_empty_text(tr("Train, and every second row is what comes back of the row above."))
        self.samples.set_empty_text(tr("Codes drawn from N(0, I), decoded."))
        self._build()
        record.terms_changed.connect(self.show_terms)

    def _build(self) -> None:
        self.curves, self.latents = Card(), Card(tr("KL by latent, nats"))
        self.curves.body.addWidget(self.terms)
        self.latents.add_header_widget(self.measure)
        self.latents.body.addWidget(self.bars, 1)
        self.latents.body.addWidget(self.facts)
        self.pairs_card, self.samples_card = (
            Card(tr("Originals, and what comes back")),
            Card(tr("Decoded from N(0, I)")),
        )
        self.pairs_card.body.addWidget(self.pairs)
        self.samples_card.body.addWidget(self.samples)
        for first, second, shares in (
            (self.curves, self.latents, (300, 220)), (self.pairs_card, self.samples_card, (300, 180)),
        ):  # fmt: skip
            column = QSplitter(Qt.Orientation.Vertical)
            column.addWidget(first)
            column.addWidget(second)
            column.setHandleWidth(12)
            column.setChildrenCollapsible(False)
            column.setSizes(list(shares))
            self.addWidget(column)
        self.setHandleWidth(12)
        self.setChildrenCollapsible(False)
        self.setSizes([420, 420])

    def show_terms(self) -> None:
        """Both terms of each step so far."""
        steps, reconstruction, kl = self._record.curves()
        if not len(steps):
            self._show_losses()
            self.pairs.set_images(None)
            self.samples.set_images(None)
            self.bars.set_values((), ACTIVE)
            return
        plain = not np.any(kl)
        self.terms.set_axes(tr("step"), tr("squared error") if plain else tr("nats per image"), y_log=plain)
        lines = {tr("reconstruction"): Line(steps, reconstruction, "x0", Qt.PenStyle.DashLine)}
        if not plain:
            lines["KL"] = Line(steps, kl, "weight", Qt.PenStyle.DashLine)
        self.terms.set_lines(lines)

    def _show_losses(self) -> None:
        """Of a run on disk the loss of each step, which is all that is kept of its terms."""
        steps, losses = self._record.losses()
        self.terms.set_axes(tr("step"), tr("loss") if len(steps) else tr("nats per image"))
        self.terms.set_lines({tr("loss"): Line(steps, losses, "x0")} if len(steps) else {})

    def show_looked(self, seen: Looked) -> None:
        """What the network does now."""
        columns = columns_of(len(seen.originals))
        self.pairs.set_columns(columns)
        self.pairs.set_images(interleaved(seen.originals, seen.reconstructions, columns))
        self.samples.set_images(seen.samples)
        levels = isinstance(seen.model.config, HVAEConfig)
        names = [f"z{subscripts(n + 1)}" for n in range(len(seen.kl))] if levels else []
        self.bars.set_values(seen.kl.tolist(), ACTIVE, names)
        active = int((seen.kl > ACTIVE).sum())
        detail = tr("{active} of {count} active", active=active, count=len(seen.kl)) if len(seen.kl) else ""
        self.latents.set_title(tr("KL by level, nats") if levels else tr("KL by latent, nats"), detail)
        self.samples_card.set_title(tr("Decoded from N(0, I)"), tr("step {step:,}", step=seen.step))

    def show_measured(self, found: MeasuredState) -> None:
        """What was measured when it was asked for."""
        self.measure.setEnabled(not found.doing)
        self.facts.setText(found.doing or unbroken(words(found)))
        self.facts.setVisible(bool(self.facts.text()))


def words(found: MeasuredState) -> str:
    """The figures in a few lines."""
    report = found.report
    if report is None:
        return ""
    if report.total != report.total:
        return tr(
            "Squared error per pixel {report.squared_error:.4f}. It has no bound: it is no model of p(x).",
            report=report,
        )
    lines = [
        tr(
            "Bound {r.total:.3f} ± {r.total_error:.3f} bits/dim · −log p by {r.draws} weighted "
            "draws {r.weighted:.3f} · gap {r.gap:.3f}",
            r=report,
        ),
    ]
    if report.binary:
        lines[0] = tr("{line} · pixels black or white", line=lines[0])
    if found.gradients is not None:
        through, score = found.gradients
        lines.append(
            tr(
                "Variance of one gradient: through the draw {through}, score function {score}",
                through=power_text(through), score=power_text(score),
            )
        )  # fmt: skip
    return with_minus_signs("\n".join(lines))


def columns_of(count: int, most: int = COLUMNS) -> int:
    """So many pictures to a row, most // 2 to most, that nearly all of them stand in full rows."""
    if count <= most:
        return max(count, 1)
    return max(range(most, most // 2 - 1, -1), key=lambda columns: count // columns * columns)


def interleaved(first: NDArray[np.uint8], second: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Full rows of one and of the other in turn. (n, H, W, C) twice → (2n', H, W, C)"""
    rows = len(first) // columns
    shape = (rows, columns, *first.shape[1:])
    pair = [each[: rows * columns].reshape(shape) for each in (first, second)]
    return np.stack(pair, 1).reshape(-1, *first.shape[1:])

"""The bridge from a hierarchy to a diffusion model: both chains, three switches, one bound for all."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.core.words import number, tr
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig, HVAEConfig, VAEConfig
from diffusion_studio.viewmodels.autoencoder.measuring import MeasuredState, Stage
from diffusion_studio.viewmodels.autoencoder.state import RUNNING, CodeState
from diffusion_studio.widgets.codes.diagram import ChainDiagram, Chains
from diffusion_studio.widgets.frame.cards import Card, RemainderCard
from diffusion_studio.widgets.frame.scrolling import Paragraph
from diffusion_studio.widgets.frame.table_menu import offer_copy
from diffusion_studio.widgets.look.theme import tabular
from diffusion_studio.widgets.plots.math import with_minus_signs

SWITCHES = (
    (tr("Same dimension"), tr("Every level has as many numbers as the image (Luo eq. 30)")),
    (tr("Fixed encoder"), tr("Each level is the one below, shrunk and noised (Luo eq. 31)")),
    (tr("N(0, I) at T"), tr("Nothing of the image is left at the last level (Luo eq. 33)")),
)
ROWS = 6  # of the table that are seen at once; it scrolls through more
HEADS = (tr("Measured by one routine"), tr("Bound"), tr("Image"), tr("Levels"), tr("Scatter"))

_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class BridgeView(QWidget):
    """Diagram and switches above, what was measured below."""

    restricted = Signal(int)  # how many of the three restrictions hold
    measure_requested = Signal()
    diffusion_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.diagram, self.switches = ChainDiagram(), [QCheckBox(title) for title, _ in SWITCHES]
        for place, (switch, (_, tip)) in enumerate(zip(self.switches, SWITCHES, strict=True)):
            switch.setToolTip(tip)
            switch.clicked.connect(lambda on, place=place: self.restricted.emit(place + bool(on)))
        self.hint, self.facts = Paragraph("muted"), Paragraph("small")
        self.facts.setFont(tabular(self.facts.font()))
        self.measure, self.diffusion = QPushButton(tr("Measure")), QPushButton(tr("Measure my diffusion run"))
        self.measure.setToolTip(tr("Both decompositions of the bound of what was trained here"))
        self.diffusion.setToolTip(
            tr("The newest diffusion run of pixels, of images as large as these, by the same routine")
        )
        self.table = _table()
        self._build()
        self.measure.clicked.connect(self.measure_requested)
        self.diffusion.clicked.connect(self.diffusion_requested)

    def _build(self) -> None:
        chains, bound = Card(tr("Both chains")), RemainderCard()
        bound.set_title(tr("The bound, bits per dimension"))
        for switch in self.switches:
            chains.add_header_widget(switch)
        chains.body.addWidget(self.diagram)
        chains.body.addWidget(self.hint)
        bound.add_header_widget(self.measure)
        bound.add_header_widget(self.diffusion)
        bound.body.addWidget(self.table, 1)
        bound.body.addWidget(self.facts)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(chains)
        column.addWidget(bound, 1)

    def show_state(self, state: CodeState) -> None:
        """The chains of this config, and how many of its restrictions hold."""
        config = state.config
        self.diagram.set_chains(chains_of(config, _pixels(state)))
        held = config.hierarchy.restrictions if isinstance(config, HVAEConfig) else 0
        for place, switch in enumerate(self.switches):
            switch.setChecked(place < held)
            switch.setEnabled(not state.busy)
            switch.setToolTip(RUNNING if state.busy else SWITCHES[place][1])
        self.hint.setText(hint(config))

    def show_measured(self, found: MeasuredState) -> None:
        """What was measured until now."""
        for button in (self.measure, self.diffusion):
            button.setEnabled(not found.doing)
        _fill(self.table, found.stages)
        self.facts.setText(found.doing or scatter_words(found))


def hint(config: AutoencoderConfig) -> str:
    """What the next step is."""
    if not isinstance(config, HVAEConfig):
        return tr("Choose the kind Hierarchy to begin: an autoencoder has one level.")
    spec = config.hierarchy
    if spec.standard_end:
        return tr("This is a diffusion model: only the way back is learned (Luo eq. 58).")
    if spec.fixed_encoder:
        return tr(
            "The encoder learns nothing any more, but something of the image is left at T: N(0, I) is no fit."
        )
    if spec.same_dimension:
        return tr("All levels are as large as the image; the encoder is still learned.")
    return tr(
        "A Markovian hierarchy. Dashed is learned, solid is fixed: three switches make it a diffusion model."
    )


def chains_of(config: AutoencoderConfig, pixels: int) -> Chains:
    """The picture of a config."""
    if not isinstance(config, HVAEConfig):
        return Chains((pixels, config.code.size), random=isinstance(config, VAEConfig))
    spec = config.hierarchy
    dims = (pixels, *spec.dims(config.code.size, pixels))
    return Chains(dims, spec.fixed_encoder, spec.standard_end)


def scatter_words(found: MeasuredState) -> str:
    """How much the decompositions vary, in words."""
    lines = []
    if found.scatter is not None:
        parts = (
            (tr("as it stands (Luo eq. 28)"), found.scatter.plain),
            (tr("over triples (eq. 44)"), found.scatter.triples),
            (tr("by posteriors (eq. 58)"), found.scatter.posterior),
        )  # fmt: skip
        words = "\u00a0· ".join(
            tr("{name} {mean:.2f}, scatter {spread:.2f}", name=name, mean=mean, spread=spread)
            for name, (mean, spread) in parts
        )
        lines.append(tr("One image, ELBO in nats: {words}.", words=with_minus_signs(words)))
    run = found.diffusion
    if run is not None:
        lines.append(
            tr(
                "{run.name}: T = {run.levels}; {run.images} images, one draw each: by posteriors "
                "{run.total:.3f} ± {run.spread:.3f}, over triples {run.triples:.3f} ± "
                "{run.triples_spread:.3f} bits/dim.",
                run=run,
            )
        )
    return "\n".join(lines)


def _pixels(state: CodeState) -> int:
    data = state.data
    return int(data.thumbnails[0].size) if data is not None and len(data.thumbnails) else 64


def _table() -> QTableWidget:
    table = QTableWidget(0, len(HEADS))
    for column, title in enumerate(HEADS):
        table.setHorizontalHeaderItem(column, _cell(column, title))
    table.setAccessibleName(tr("The bound of each stage"))
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setShowGrid(False)
    table.verticalHeader().hide()
    header = table.horizontalHeader()
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    header.setHighlightSections(False)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    offer_copy(table)
    return table


def _fill(table: QTableWidget, stages: Sequence[Stage]) -> None:
    table.setRowCount(len(stages))
    for row, (title, stage) in enumerate(zip(titles(stages), stages, strict=True)):
        figures = (stage.total, stage.reconstruction, stage.between, stage.spread)
        for column, text in enumerate((title, *(number(figure, ".3f") for figure in figures))):
            table.setItem(row, column, _cell(column, text))
    table.setMinimumHeight(_high(table, min(max(len(stages), 1), ROWS)))


def titles(stages: Sequence[Stage]) -> list[str]:
    """What the rows are called: with the images, where not all were measured on the same."""
    several = len({stage.data for stage in stages}) > 1
    return [f"{stage.title} · {stage.source}" if several else stage.title for stage in stages]


def _cell(column: int, text: str) -> QTableWidgetItem:
    """Words on the left, numbers one under the other."""
    item = QTableWidgetItem(text)
    if column:
        item.setTextAlignment(_RIGHT)
    return item


def _high(table: QTableWidget, rows: int) -> int:
    """The height of a table with its head and that many rows, in pixels."""
    head, row = table.horizontalHeader().sizeHint().height(), table.verticalHeader().defaultSectionSize()
    return head + rows * row + 2 * table.frameWidth()

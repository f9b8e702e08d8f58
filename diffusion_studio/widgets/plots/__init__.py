"""The plots of the pages."""

from diffusion_studio.widgets.plots.base import BasePlot
from diffusion_studio.widgets.plots.canvas import Reading
from diffusion_studio.widgets.plots.chain import ChainPlot, Curve
from diffusion_studio.widgets.plots.curve import Line, XYPlot
from diffusion_studio.widgets.plots.legend import Mark
from diffusion_studio.widgets.plots.loss import RUN_LOOKS, LossPlot, RunCurve
from diffusion_studio.widgets.plots.math import debiased_average
from diffusion_studio.widgets.plots.timestep import Compared, Overlay, TimestepPlot

__all__ = [
    "RUN_LOOKS",
    "BasePlot",
    "ChainPlot",
    "Compared",
    "Curve",
    "Line",
    "LossPlot",
    "Mark",
    "Overlay",
    "Reading",
    "RunCurve",
    "TimestepPlot",
    "XYPlot",
    "debiased_average",
]

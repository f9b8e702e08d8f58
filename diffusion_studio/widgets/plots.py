"""The plots of the pages."""

from diffusion_studio.widgets.plot_base import BasePlot
from diffusion_studio.widgets.plot_canvas import Reading
from diffusion_studio.widgets.plot_chain import ChainPlot, Curve
from diffusion_studio.widgets.plot_curve import Line, XYPlot
from diffusion_studio.widgets.plot_loss import LossPlot, Mark, RunCurve
from diffusion_studio.widgets.plot_math import debiased_average
from diffusion_studio.widgets.plot_timestep import Compared, Overlay, TimestepPlot

__all__ = [
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

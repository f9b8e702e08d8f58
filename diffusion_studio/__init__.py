"""Diffusion Studio: a desktop laboratory for diffusion models."""

__version__ = "0.1.0"

"""Equations, drawn."""

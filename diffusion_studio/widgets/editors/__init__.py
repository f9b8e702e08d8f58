"""Curves and points that are edited by hand."""

"""The 2-D page without its widgets."""

"""The 2-D page."""

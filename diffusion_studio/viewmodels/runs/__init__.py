"""The Runs page without its widgets."""

"""The Sample page without its widgets."""

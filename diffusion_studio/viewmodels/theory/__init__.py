"""The Theory page without its widgets."""

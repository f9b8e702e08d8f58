"""The Train page without its widgets."""

"""The mathematics. Pure functions and frozen values: no files, no threads, no window."""

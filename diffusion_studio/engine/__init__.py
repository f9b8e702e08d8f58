"""Training, sampling and the run folder. Knows no window."""

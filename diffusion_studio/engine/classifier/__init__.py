"""The classifier of noisy images."""

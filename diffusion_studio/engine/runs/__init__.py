"""A run on disk: config, run folder, checkpoints, metrics, models in files."""

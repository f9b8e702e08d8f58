"""Files: where they go, how they are written, pictures."""

"""Training of an image network."""

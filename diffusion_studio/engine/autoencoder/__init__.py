"""Autoencoders: their training, what they know of images, and what they are worth."""

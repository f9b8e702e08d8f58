"""Autoencoders: exact linear cases, decoders, bounds, and the hierarchy that diffusion is a case of."""

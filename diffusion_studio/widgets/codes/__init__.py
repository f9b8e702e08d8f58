"""Widgets of autoencoders: latents as bars, the plane of codes, the chains of a hierarchy."""

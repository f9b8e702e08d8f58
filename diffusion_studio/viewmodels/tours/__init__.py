"""Guided tours: how one is walked through, and the cards of the pages that show images and theory."""

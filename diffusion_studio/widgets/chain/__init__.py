"""A chain in time: timeline, tracks, transport."""

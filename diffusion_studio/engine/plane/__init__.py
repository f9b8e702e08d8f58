"""The plane, in which the truth is known."""

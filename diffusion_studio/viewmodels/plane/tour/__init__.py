"""The guided tour of the plane: what to look at, why, and one click to see it."""

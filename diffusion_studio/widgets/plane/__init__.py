"""The plane, drawn."""

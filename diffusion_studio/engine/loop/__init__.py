"""The one loop for everything that trains."""

"""State and background jobs behind each page. QtCore only."""

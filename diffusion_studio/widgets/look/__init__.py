"""Theme, icons and the files that travel with the application."""

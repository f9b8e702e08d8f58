"""The start script's own modules. Standard library only: nothing is installed yet when they run."""

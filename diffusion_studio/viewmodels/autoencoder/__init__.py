"""Behind the Autoencoder page."""

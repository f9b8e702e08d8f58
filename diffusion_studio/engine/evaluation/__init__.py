"""What is measured of a trained model: the bound, quality, sweeps."""

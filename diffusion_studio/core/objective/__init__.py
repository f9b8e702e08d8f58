"""What a training minimises: losses, weights, densities of t, and the bound."""

"""Single steps along t: updates and their kernels, clipping, Langevin, the probability flow, inversion."""

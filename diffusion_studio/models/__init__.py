"""Networks, each wrapped so that it is a denoiser."""

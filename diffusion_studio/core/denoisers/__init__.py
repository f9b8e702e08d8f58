"""What a denoiser is and says, and those that are known in closed form."""

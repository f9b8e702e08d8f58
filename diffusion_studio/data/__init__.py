"""Images and labels: folders, the built-in digits, the cache."""

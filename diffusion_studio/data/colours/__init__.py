"""What the numbers of a picture mean as light: by profiles, by codes, by gamma and primaries."""

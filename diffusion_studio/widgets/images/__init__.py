"""Images: grids, mosaics, thumbnails, dropping."""

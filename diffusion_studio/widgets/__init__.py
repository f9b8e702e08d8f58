"""Passive Qt widgets: they show numpy arrays and emit what the person did."""

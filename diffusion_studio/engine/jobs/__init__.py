"""What long work has in common: events and control."""

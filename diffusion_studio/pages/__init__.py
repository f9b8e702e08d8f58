"""One page each: its widgets laid out and tied to its view-model."""

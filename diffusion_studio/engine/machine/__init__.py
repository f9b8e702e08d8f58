"""The machine: devices, memory, threads, the collector, what is missing on it."""

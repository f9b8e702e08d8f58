"""The forward process: noise schedules, their tables, the times that a chain visits, and its noise."""

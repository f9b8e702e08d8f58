"""What the Theory page shows: the equations, and the slips of the references."""

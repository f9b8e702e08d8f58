"""What pushes a chain towards a class."""

"""Forms made from descriptions of choices."""

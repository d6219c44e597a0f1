"""Which shop comes next, by every method."""

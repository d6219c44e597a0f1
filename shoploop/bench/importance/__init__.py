"""``shoploop bench importance``."""

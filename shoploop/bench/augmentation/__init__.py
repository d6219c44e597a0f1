"""``shoploop bench augmentation``."""

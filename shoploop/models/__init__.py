"""The models: one architecture per file."""

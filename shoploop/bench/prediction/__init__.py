"""What is bought next: one contest of all methods, on several datasets, each by its protocol."""

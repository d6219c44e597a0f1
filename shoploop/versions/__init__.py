"""A model version on disk: its files, signature and checks, the model in it, and which version serves."""

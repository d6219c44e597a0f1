"""Training: samples and features in, a model version out."""

"""Estimators of how much a sample counts, one a file, behind one interface."""

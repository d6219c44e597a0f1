"""Benchmarks: each prints the numbers that a claim rests on, against a named baseline in the same run."""

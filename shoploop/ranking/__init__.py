"""Ranking one request: candidates, scores, reasons."""

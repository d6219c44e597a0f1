"""Slates: lists that were shown with places and prices, and which of them was clicked."""

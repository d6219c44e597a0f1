"""Tables held against their expectations."""

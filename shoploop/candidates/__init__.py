"""Which items are scored for a request."""

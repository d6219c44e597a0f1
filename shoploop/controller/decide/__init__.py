"""The decisions of the operator: pure functions of what is wanted and what is seen. Nothing in here talks to a cluster."""

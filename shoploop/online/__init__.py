"""What is learned between two runs: from the event log into a chain of commits, and from there into every predictor."""

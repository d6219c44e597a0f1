"""What answers HTTP: it knows requests and limits, and nothing of how an answer is computed."""

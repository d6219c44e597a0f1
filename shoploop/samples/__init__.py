"""Point-in-time samples: requests with their candidates, features and labels, and what each one counts."""

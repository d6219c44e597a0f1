"""Whether virtual behaviour is of use: trainings with and without it, judged on visits that nobody learned from."""

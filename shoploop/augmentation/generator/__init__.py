"""The generator of virtual behaviour: histories to numbers, the adversarial pair that learns them, and back to rows."""

"""What a generated table must prove: that it is like the real one, and that it gives nobody away."""

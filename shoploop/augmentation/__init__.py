"""Sample augmentation that must pay: virtual behaviour, and the proofs that it is like the real, discreet, and of use."""

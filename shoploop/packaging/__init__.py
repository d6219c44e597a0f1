"""A version as a Bento: built, signed, fetched, verified, and served on this machine."""

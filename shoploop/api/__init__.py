"""The custom resources that users write, and what is derived from them."""

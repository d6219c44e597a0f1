"""Features: pure functions from tables to numbers, and the contract that names them."""

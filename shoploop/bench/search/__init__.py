"""Search benchmarks: queries that shoppers typed, or that are made of the names of what was bought."""

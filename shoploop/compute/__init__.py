"""What a computation may use: its device, its share of several processes, cores, and processes that end with their parent."""

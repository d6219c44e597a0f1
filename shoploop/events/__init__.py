"""What shoppers did, kept until it is learned from: a log of events, and what may be written into it."""

"""What a model is asked beside what comes next: a query, and which shop."""

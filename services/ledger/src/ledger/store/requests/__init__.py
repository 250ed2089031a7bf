"""The request log: its days, its lines, what it holds of a person, and what is read of it."""

"""A training: its steps, its state, and how it goes on after it was killed."""

"""Facts and opinions: what a flag, a verdict and a vote are."""

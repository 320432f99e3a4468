"""What reviewers make of flags: verdicts, targets, pairs to learn from, and what they tell of weights."""

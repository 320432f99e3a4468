"""What the feedback says, in plots."""

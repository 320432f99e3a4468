"""What each promotion changed."""

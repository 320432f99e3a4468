"""The tabs: a photo comes in, is restored, and may be flagged."""

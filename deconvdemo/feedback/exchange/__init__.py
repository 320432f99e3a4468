"""Feedback for other programs, and from them."""

"""Blind choices between two results."""

"""Weights: their files and headers, where they come from, which serve, and what took whose place."""

"""Feedback as a dataset on the Hub: rows, shards, card, publication, erasure."""

"""What a network is shown: a degraded patch and the one to be restored."""

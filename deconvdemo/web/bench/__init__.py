"""The test bench's tab: a clean photo is harmed on purpose, and every method that applies restores it."""

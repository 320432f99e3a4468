"""The dashboard where flags are judged."""

"""What goes to the Hub with weights: card, metadata, pictures."""

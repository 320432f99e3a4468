"""What the formats of picture files say besides pixels, and the readers of those that Pillow does not read whole."""

"""Photos: their files, their pixels, and what is measured on them; no torch."""

from pathlib import Path

PHOTOS = Path(__file__).parent / "photos"  # free ones, for duels and model cards

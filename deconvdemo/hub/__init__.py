"""What comes from the Hugging Face Hub and from datasets, within bounds: strangers wrote it."""

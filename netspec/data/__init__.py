"""Sources, preprocessing and batches, with torch."""

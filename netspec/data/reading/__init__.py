"""What each source has, as parts of a dataset: its files found, looked at, and held against the
spec."""

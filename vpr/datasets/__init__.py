"""Data sets in public forms, read as a ground truth and written again."""

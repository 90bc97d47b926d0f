"""Data sets in foreign forms, read as a ground truth and written again."""

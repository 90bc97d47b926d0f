"""What DVC and git recorded of the runs, and calls of DVC."""

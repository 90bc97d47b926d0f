"""`python -m vpr compare`: two runs, query by query."""

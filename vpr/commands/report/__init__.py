"""`python -m vpr report A B`: two runs side by side."""

"""`python -m vpr sweep`: a grid of experiments."""

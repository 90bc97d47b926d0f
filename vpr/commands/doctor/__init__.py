"""`python -m vpr doctor`: whether a run can start."""

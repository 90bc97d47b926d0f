"""`python -m vpr locate`: where photos were taken."""

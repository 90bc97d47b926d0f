"""`python -m vpr gate`: whether metrics are good enough to go on."""

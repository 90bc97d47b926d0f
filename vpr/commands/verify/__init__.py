"""`python -m vpr verify`: whether files are as DVC recorded them."""

"""`python -m vpr track`: where a drive went."""

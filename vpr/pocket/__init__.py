"""A finished run in files that need no Python: network, map, and a page that uses both."""

"""A finished run in memory, and locating photos with it."""

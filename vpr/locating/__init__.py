"""A recorded run in memory, and where photos were taken by it."""

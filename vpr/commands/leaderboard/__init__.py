"""`python -m vpr leaderboard`: recorded runs in one table."""
